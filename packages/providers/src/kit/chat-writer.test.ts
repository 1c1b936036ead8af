import { describe, expect, it } from '@jest/globals';
import { ChatChunkWriter, chatCompletionBody } from './chat-writer.js';

const ESTIMATE = { prompt_tokens: 17, completion_tokens: 3, total_tokens: 20 };
const call = (includeUsage = true) => ({ alias: 'my-alias', includeUsage, inputTokensEstimate: 17 });
const parsed = (frame: Buffer | undefined): any => JSON.parse(frame!.toString().replace(/^data: /, ''));

describe('the usage of an answer whose provider counted nothing', () => {
  it('is what is booked for it: the estimate of the input, and the output by its text', () => {
    const body = chatCompletionBody({ call: call(), content: 'four letters', finishReason: 'stop' });
    expect(JSON.parse(body.toString())).toMatchObject({ model: 'my-alias', usage: ESTIMATE });
    const two = chatCompletionBody({
      call: call(),
      content: 'four',
      finishReason: 'stop',
      furtherChoices: [{ content: ' letters', finishReason: 'stop' }],
    });
    expect(JSON.parse(two.toString()).usage).toEqual(ESTIMATE);
  });

  it('ends a stream for a client that asked for it, and no other', () => {
    const writer = new ChatChunkWriter({ call: call() });
    writer.text('four letters');
    expect(parsed(writer.usage(undefined))).toMatchObject({ choices: [], usage: ESTIMATE });
    expect(parsed(writer.usage(undefined, 16)).usage.completion_tokens).toBe(4);
    expect(new ChatChunkWriter({ call: call(false) }).usage(undefined)).toBeUndefined();
  });

  it("is the provider's own where it counted", () => {
    const meters = { inputTokens: 1, outputTokens: 2 };
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    expect(JSON.parse(chatCompletionBody({ call: call(), content: 'x', finishReason: 'stop', meters }).toString()).usage).toEqual(usage);
    expect(parsed(new ChatChunkWriter({ call: call() }).usage(meters)).usage).toEqual(usage);
  });
});
