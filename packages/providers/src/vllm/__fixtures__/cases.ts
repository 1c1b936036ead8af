import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** Shapes known of vLLM: growing usage on every chunk, reasoning under two names at once, errors without an envelope. */

const read = (name: string): Buffer => recording(import.meta.dirname, name);

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: 'token-abc123-of-vllm' }),
  chat: {
    ...wire.chat,
    plain: { answer: jsonAnswer(read('plain.json')), content: 'Hi there', reasoning: 'A greeting.', finishReason: 'stop', meters: { inputTokens: 18, outputTokens: 7 } },
    stream: { answer: sseAnswer(sseOf(read('stream.chunks.txt'))), content: 'Hi there', reasoning: 'A greeting.', finishReason: 'stop', meters: { inputTokens: 18, outputTokens: 7 } },
  },
  errors: {
    ...wire.errors,
    invalid_request: { answer: jsonAnswer({ object: 'error', message: '"auto" tool choice requires --enable-auto-tool-choice', type: 'BadRequestError', param: null, code: 400 }, { status: 400 }) },
    context_length: {
      answer: jsonAnswer(
        { error: { message: "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens.", type: 'BadRequestError', param: null, code: 400 } },
        { status: 400 },
      ),
    },
    not_found: { answer: jsonAnswer({ object: 'error', message: 'The model `x` does not exist.', type: 'NotFoundError', param: null, code: 404 }, { status: 404 }) },
  },
  streamError: { tail: 'data: {"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}}\n\ndata: [DONE]\n\n', kind: 'server_error' },
};
