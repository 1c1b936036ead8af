import { describe, expect, it } from '@jest/globals';
import { openAiCompatible } from '../openai-compatible/adapter.js';
import type { ProviderCall, ProviderDefinition } from '../spec/provider.js';
import type { Transport } from '../spec/transport.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { llamaCpp } from './adapter.js';

const SENT = new Error('sent');
const transport: Transport = { send: () => Promise.reject(SENT) };

async function outcome(provider: ProviderDefinition, body: object, change: Partial<ProviderCall> = {}): Promise<unknown> {
  const adapter = provider.create(makeRoute({ base_url: 'http://127.0.0.1:1/v1' }));
  const call = makeCall(transport, { model: 'my-alias', messages: [{ role: 'user', content: 'hi' }], ...body });
  return adapter.invoke({ ...call, ...change }).catch((error: unknown) => error);
}

const REFUSED = { kind: 'unsupported_parameter', param: 'n_predict' };

describe("llama.cpp's own name for the limit of the output, which wins over the one that a budget sets", () => {
  it('is refused by name', async () => {
    expect(await outcome(llamaCpp, { max_tokens: 5, n_predict: 100_000 })).toMatchObject(REFUSED);
    expect(await outcome(llamaCpp, { max_tokens: 5 })).toBe(SENT);
  });

  it('is refused of any server, which may be one of these, where a budget sets a ceiling', async () => {
    expect(await outcome(openAiCompatible, { n_predict: 100_000 }, { maxOutputTokens: 9 })).toMatchObject(REFUSED);
    expect(await outcome(openAiCompatible, { n_predict: 100_000 })).toBe(SENT);
  });
});
