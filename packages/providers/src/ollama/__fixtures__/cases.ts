import { expect } from '@jest/globals';
import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** Shapes known of Ollama: the role on every chunk, `reasoning`, parallel calls all numbered 0, short ids. */

const read = (name: string): Buffer => recording(import.meta.dirname, name);
const stream = (name: string): ReturnType<typeof sseAnswer> => sseAnswer(sseOf(read(name)));
const PARIS = { name: 'get_weather', arguments: { city: 'Paris' } };

function failure(status: number, message: string, type: string): ReturnType<typeof jsonAnswer> {
  return jsonAnswer({ error: { message, type, param: null, code: null } }, { status });
}

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: 'ollama-behind-a-proxy' }),
  chat: {
    ...wire.chat,
    plain: { answer: jsonAnswer(read('plain.json')), content: 'Hello!', reasoning: 'The user greets.', finishReason: 'stop', meters: { inputTokens: 11, outputTokens: 9 } },
    stream: { answer: stream('stream.chunks.txt'), content: 'Hello!', reasoning: 'The user greets.', finishReason: 'stop', meters: { inputTokens: 11, outputTokens: 9 } },
    tools: { answer: jsonAnswer(read('tools.json')), finishReason: 'tool_calls', toolCalls: [{ id: 'call_8d2kq0vz', ...PARIS }], meters: { inputTokens: 160, outputTokens: 25 } },
    'tools-stream': { answer: stream('tools.chunks.txt'), finishReason: 'tool_calls', toolCalls: [{ id: 'call_8d2kq0vz', ...PARIS }], meters: { inputTokens: 160, outputTokens: 25 } },
    'parallel-tools-stream': {
      answer: stream('parallel-tools.chunks.txt'),
      finishReason: 'tool_calls',
      toolCalls: [
        { id: 'call_1x0v7c2m', ...PARIS },
        { id: 'call_9k4w5t8q', name: 'get_weather', arguments: { city: 'Tokyo' } },
      ],
      meters: { inputTokens: 166, outputTokens: 50 },
    },
    'no-argument-tool-stream': {
      answer: stream('no-argument-tool.chunks.txt'),
      finishReason: 'tool_calls',
      toolCalls: [{ name: 'get_time', arguments: {} }],
      meters: { inputTokens: 120, outputTokens: 12 },
    },
    length: { ...wire.chat.length, sent: (request) => expect(JSON.parse(request.body.toString())).toMatchObject({ max_tokens: 16 }) },
  },
  errors: {
    ...wire.errors,
    invalid_request: { answer: failure(400, '[] is too short - messages', 'invalid_request_error') },
    not_found: { answer: failure(404, 'model "llama9" not found, try pulling it first', 'api_error') },
    server_error: { answer: failure(500, 'llama runner process has terminated: exit status 2', 'api_error') },
  },
};
