import { expect } from '@jest/globals';
import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** Shapes known of llama-server and llama-cpp-python: `timings` beside the usage, CRLF line ends, comments while it thinks. */

const read = (name: string): Buffer => recording(import.meta.dirname, name);
const CRLF = sseOf(read('stream.chunks.txt')).replaceAll('\n', '\r\n');

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: 'llama-server-key' }),
  chat: {
    ...wire.chat,
    plain: { answer: jsonAnswer(read('plain.json')), content: 'Hello été', finishReason: 'stop', meters: { inputTokens: 20, outputTokens: 4 } },
    stream: {
      answer: sseAnswer(`: ping - 2026-01-01 00:00:00.000000+00:00\r\n\r\n${CRLF}`),
      content: 'Hello été',
      finishReason: 'stop',
      meters: { inputTokens: 20, outputTokens: 4, cachedInputTokens: 8 },
    },
    length: { ...wire.chat.length, sent: (request) => expect(JSON.parse(request.body.toString())).toMatchObject({ max_tokens: 16 }) },
  },
  errors: {
    ...wire.errors,
    context_length: {
      answer: jsonAnswer({ error: { code: 400, message: 'the request exceeds the available context size, try increasing it', type: 'exceed_context_size_error', n_prompt_tokens: 5000, n_ctx: 4096 } }, { status: 400 }),
    },
    overloaded: { answer: jsonAnswer({ error: { code: 503, message: 'Loading model', type: 'unavailable_error' } }, { status: 503 }) },
    server_error: { answer: jsonAnswer({ error: { code: 500, message: 'Compute error.', type: 'server_error' } }, { status: 500 }) },
  },
  garbage: `\r\n\r\n${wire.garbage}`,
};
