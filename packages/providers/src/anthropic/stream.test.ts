import { MessageStream as SdkStream } from '@anthropic-ai/sdk/lib/MessageStream';
import { describe, expect, it } from '@jest/globals';
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream';
import { recording } from '../testing/battery.js';
import { toolEvents, paris, tokyo } from './__fixtures__/cases.js';
import { fromMessage } from './response.js';
import { MessageStream } from './stream.js';

const lines = (name: string): string[] =>
  recording(`${import.meta.dirname}/__fixtures__`, name)
    .toString()
    .trim()
    .split('\n');

interface Heard {
  chunks: any[];
  stream: MessageStream;
}

function listen(events: readonly string[], includeUsage = true): Heard {
  const stream = new MessageStream({ alias: 'my-alias', includeUsage, inputTokensEstimate: 17 });
  for (const event of events) stream.event(Buffer.from(event));
  const text = stream.take()?.toString() ?? '';
  const chunks = text
    .split('\n\n')
    .filter(Boolean)
    .map((frame) => JSON.parse(frame.replace(/^data: /, '')) as unknown);
  return { chunks, stream };
}

const readable = (objects: readonly string[]): ReadableStream =>
  new Blob([`${objects.map((each) => JSON.stringify(JSON.parse(each))).join('\n')}\n`]).stream() as unknown as ReadableStream;

const deltas = (chunks: any[], key: string): any[] =>
  chunks.flatMap((chunk) => chunk.choices.map((choice: any) => choice.delta[key])).filter((value) => value !== undefined);

/** The recorded thought, and behind it one whose text the API keeps to itself. */
function twoThoughts(): string[] {
  const recorded = lines('thinking.chunks.txt').map((line) => JSON.parse(line));
  const end = recorded.findIndex((event) => event.type === 'content_block_stop') + 1;
  const redacted = [
    { type: 'content_block_start', index: 1, content_block: { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix/LafPsn4a' } },
    { type: 'content_block_stop', index: 1 },
  ];
  const rest = recorded.slice(end).map((event) => ('index' in event ? { ...event, index: event.index + 1 } : event));
  return [...recorded.slice(0, end), ...redacted, ...rest].map((event) => JSON.stringify(event));
}

const RECORDINGS: [string, string[]][] = [
  ['a text', lines('stream.chunks.txt')],
  ['corrected usage', lines('corrected-usage.chunks.txt')],
  ['a tool without arguments', lines('no-argument-tool.chunks.txt')],
  ['a refusal', lines('refusal.chunks.txt')],
  ['thinking', lines('thinking.chunks.txt')],
  ['thinking of two kinds', twoThoughts()],
  ['two tools at once', toolEvents(paris, tokyo).map((event) => JSON.stringify(event))],
];

describe('a stream of Anthropic events', () => {
  it('without any usage ends with the estimate that is booked', () => {
    const withoutUsage = lines('stream.chunks.txt').map((line) =>
      JSON.stringify(JSON.parse(line, (key, value: unknown) => (key === 'usage' ? undefined : value))),
    );
    const { chunks, stream } = listen(withoutUsage);
    const { outputBytes, ...told } = stream.progress();
    expect(told).toEqual({ inputMeters: undefined });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 17, completion_tokens: Math.ceil(outputBytes / 4) } });
  });

  it.each(RECORDINGS)('with %s says to an OpenAI client what the whole message says', async (_name, events) => {
    const message = await SdkStream.fromReadableStream(readable(events)).finalMessage();
    const whole = JSON.parse(fromMessage(Buffer.from(JSON.stringify(message)), { alias: 'my-alias', inputTokensEstimate: 17 }).body.toString());
    const { chunks } = listen(events);
    const heard = await ChatCompletionStream.fromReadableStream(readable(chunks.map((chunk) => JSON.stringify(chunk)))).finalChatCompletion();
    const [choice] = heard.choices;
    const calls = (list: any[] | undefined): unknown => list?.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments as string)]);
    expect(choice!.finish_reason).toBe(whole.choices[0].finish_reason);
    expect(choice!.message.content || null).toBe(whole.choices[0].message.content);
    expect(choice!.message.refusal).toBe(whole.choices[0].message.refusal);
    expect(calls(choice!.message.tool_calls)).toEqual(calls(whole.choices[0].message.tool_calls));
    expect((choice!.message as any).thinking_blocks).toEqual(whole.choices[0].message.thinking_blocks);
    expect(chunks.at(-1).usage).toEqual(whole.usage);
  });

  it('numbers tool calls from 0 although the provider counts all blocks', () => {
    const { chunks } = listen(toolEvents(paris, tokyo).map((event) => JSON.stringify(event)));
    expect(
      new Set(
        deltas(chunks, 'tool_calls')
          .flat()
          .map((call: any) => call.index),
      ),
    ).toEqual(new Set([0, 1]));
  });

  it('takes the last cumulative count and never a sum', () => {
    const { stream } = listen(lines('corrected-usage.chunks.txt'));
    expect(stream.progress().meters).toEqual({ inputTokens: 61, outputTokens: 2 });
  });

  it('knows the exact input before the end, and leaves the output to be counted', () => {
    const { stream } = listen(lines('stream.chunks.txt').slice(0, 6));
    expect(stream.progress()).toEqual({ inputMeters: { inputTokens: 12, outputTokens: 1 }, outputBytes: 43 });
    expect(stream.ended).toBe(false);
  });

  it('gives signed thinking back whole, for the next request', () => {
    const { chunks } = listen(lines('thinking.chunks.txt'));
    expect(deltas(chunks, 'reasoning_content').join('')).toBe("I'm working through the Euclidean algorithm");
    expect(deltas(chunks, 'thinking_blocks')).toEqual([
      [{ type: 'thinking', thinking: "I'm working through the Euclidean algorithm", signature: expect.stringMatching(/^EsEC/) }],
    ]);
  });

  it('tells all thinking blocks in one delta before the finish, since stream helpers of SDKs cannot join two lists', () => {
    const { chunks } = listen(twoThoughts());
    const [blocks, ...more] = deltas(chunks, 'thinking_blocks');
    expect(blocks).toEqual([expect.objectContaining({ type: 'thinking' }), { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix/LafPsn4a' }]);
    expect(more).toEqual([]);
    expect(chunks.at(-3).choices[0].delta.thinking_blocks).toBe(blocks);
    expect(chunks.at(-2).choices[0].finish_reason).toBe('stop');
  });

  it('goes on over a second message_start, pings and events that it does not know', () => {
    const events = lines('stream.chunks.txt');
    const noisy = [...events.slice(0, 4), events[0]!, '{"type":"event_of_next_year","x":1}', '{"type":"ping"}', ...events.slice(4)];
    expect(deltas(listen(noisy).chunks, 'content').join('')).toBe(deltas(listen(events).chunks, 'content').join(''));
  });

  it.each([
    ['overloaded_error', 'overloaded'],
    ['rate_limit_error', 'rate_limited'],
    ['api_error', 'server_error'],
    ['invalid_request_error', 'invalid_request'],
    ['error_of_next_year', 'server_error'],
  ])('tells the error %s as %s and never as a finish reason', (type, kind) => {
    const stream = new MessageStream({ alias: 'my-alias', includeUsage: true, inputTokensEstimate: 17 });
    for (const event of lines('stream.chunks.txt').slice(0, 5)) stream.event(Buffer.from(event));
    expect(() => stream.event(JSON.stringify({ type: 'error', error: { type, message: 'x' } }))).toThrow(expect.objectContaining({ kind }));
    expect(stream.ended).toBe(false);
    expect(stream.take()?.toString()).not.toContain('"finish_reason":"');
  });

  it('tells nothing before the model begins, so that an overload after message_start can go to another route', () => {
    const { chunks, stream } = listen([lines('stream.chunks.txt')[0]!, '{"type":"ping"}']);
    expect(chunks).toEqual([]);
    expect(stream.progress().inputMeters).toMatchObject({ inputTokens: 12 });
  });

  it('counts a call that was cut by the limit as length, with what had come', () => {
    const events = toolEvents(paris).map((event) => JSON.stringify(event));
    const cut = events.filter((event) => !event.includes('Paris')).map((event) => event.replace('"stop_reason":"tool_use"', '"stop_reason":"max_tokens"'));
    const { chunks } = listen(cut);
    expect(
      chunks
        .flatMap((chunk) => chunk.choices)
        .map((choice) => choice.finish_reason)
        .filter(Boolean),
    ).toEqual(['length']);
    expect(
      deltas(chunks, 'tool_calls')
        .flat()
        .map((call: any) => call.function.arguments)
        .join(''),
    ).toBe('{"location": "');
  });

  it('refuses a stream that ends without a stop reason', () => {
    expect(() => listen([lines('stream.chunks.txt')[0]!, '{"type":"message_stop"}'])).toThrow(expect.objectContaining({ kind: 'malformed' }));
    expect(() => listen(lines('stream.chunks.txt').slice(1))).toThrow(expect.objectContaining({ kind: 'malformed' }));
  });
});
