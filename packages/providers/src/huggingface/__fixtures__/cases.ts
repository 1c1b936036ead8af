import { expect } from '@jest/globals';
import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, type BatteryFixtures } from '../../testing/battery.js';
import type { WireAnswer, WireRequest } from '../../testing/wire-server.js';

/** Chat as the inference router sends it; embeddings by the router's feature extraction: a bare list, no usage. */

const ONE = [0.0234375, -0.01123, 0.5];
const TWO = [-0.25, 0.125, 0.0625];

function extraction(request: WireRequest): WireAnswer {
  expect(request.url).toBe('/hf-inference/models/sentence-transformers/all-MiniLM-L6-v2/pipeline/feature-extraction');
  const { inputs } = JSON.parse(request.body.toString()) as { inputs: string[] };
  return jsonAnswer(inputs.map((text) => (text === 'first text' ? ONE : TWO)));
}

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ hf_base_url: `${origin}/hf-inference`, hf_chat_base_url: `${origin}/v1`, api_key: 'hf_0123456789abcdefghij', hf_bill_to: 'my-org' }),
  route: { providerModel: 'sentence-transformers/all-MiniLM-L6-v2' },
  chat: {
    ...wire.chat,
    'usage-cached': {
      answer: jsonAnswer(recording(import.meta.dirname, 'usage-cached.json'), { headers: { 'content-type': 'application/json', 'retry-after': '30' } }),
      content: '42',
      reasoning: 'Six times seven.',
      finishReason: 'stop',
      meters: { inputTokens: 80, outputTokens: 12, cachedInputTokens: 64 },
      sent: (request) => expect(request.headers).toMatchObject({ authorization: 'Bearer hf_0123456789abcdefghij', 'x-hf-bill-to': 'my-org' }),
    },
  },
  errors: {
    ...wire.errors,
    invalid_request: { answer: jsonAnswer({ error: 'batch size 64 > maximum allowed batch size 32', error_type: 'Validation' }, { status: 413 }) },
    context_length: { answer: jsonAnswer({ error: 'Input validation error: `inputs` must have less than 512 tokens. Given: 731', error_type: 'Validation' }, { status: 413 }) },
    rate_limited: { answer: jsonAnswer({ error: 'Model is overloaded', error_type: 'Overloaded' }, { status: 429 }) },
    auth: { answer: jsonAnswer({ error: 'Invalid username or password.' }, { status: 401 }) },
    server_error: { answer: jsonAnswer({ error: 'Inference failed', error_type: 'Backend' }, { status: 424 }) },
    overloaded: { answer: jsonAnswer({ error: 'unhealthy', error_type: 'Unhealthy' }, { status: 503 }) },
  },
  embeddings: { one: { answer: extraction, vectors: [ONE] }, two: { answer: extraction, vectors: [ONE, TWO] } },
};
