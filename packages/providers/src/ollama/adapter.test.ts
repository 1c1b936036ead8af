import { describe, expect, it } from '@jest/globals';
import type { Transport } from '../spec/transport.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { ollama } from './adapter.js';

const SENT = new Error('sent');
const transport: Transport = { send: () => Promise.reject(SENT) };
const image = (url: unknown): object => ({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: url }] }] });

async function outcome(body: object): Promise<unknown> {
  const adapter = ollama.create(makeRoute({}));
  return adapter.invoke(makeCall(transport, { model: 'my-alias', messages: [{ role: 'user', content: 'hi' }], ...body })).catch((error: unknown) => error);
}

describe('what Ollama would ignore in silence', () => {
  it.each([
    [{ logit_bias: { '1': 1 } }, 'logit_bias'],
    [{ tools: [{}], tool_choice: 'required' }, 'tool_choice'],
    [{ tools: [{}], tool_choice: 'none' }, 'tool_choice'],
    [{ tools: [{}], tool_choice: { type: 'function', function: { name: 'f' } } }, 'tool_choice'],
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ top_logprobs: 2 }, 'top_logprobs'],
    [image({ url: 'https://example.com/cat.png' }), 'messages'],
    [image('http://example.com/cat.png'), 'messages'],
  ])('%j is refused by name', async (body, param) => {
    expect(await outcome(body)).toMatchObject({ kind: 'unsupported_parameter', param });
  });

  it.each([[{ tool_choice: 'auto' }], [{ tool_choice: null }], [{ n: 1 }], [{ logit_bias: null }], [image({ url: 'data:image/png;base64,AA==' })]])(
    '%j is sent',
    async (body) => {
      expect(await outcome(body)).toBe(SENT);
    },
  );
});
