import { expect } from '@jest/globals';
import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** Shapes recorded from Mistral: the usage on the finish chunk, tool calls whole, without type and often without index. */

const read = (name: string): Buffer => recording(import.meta.dirname, name);
const stream = (name: string): ReturnType<typeof sseAnswer> => sseAnswer(sseOf(read(name)));

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: wire.secret }),
  chat: {
    ...wire.chat,
    plain: {
      answer: jsonAnswer(read('plain.json')),
      content: '**World Kindness Day of Sharing** 😊',
      finishReason: 'stop',
      meters: { inputTokens: 13, outputTokens: 434 },
    },
    stream: {
      answer: stream('stream.chunks.txt'),
      content: 'World Kindness Day',
      finishReason: 'stop',
      meters: { inputTokens: 13, outputTokens: 3 },
      sent: (request) => expect(JSON.parse(request.body.toString())).not.toHaveProperty('stream_options'),
    },
    'usage-cached-stream': {
      answer: stream('incremental-tools.chunks.txt'),
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'chatcmpl-tool-9f149c74c42f265b', name: 'get_weather', arguments: { city: 'Berlin' } }],
      meters: { inputTokens: 171, outputTokens: 14, cachedInputTokens: 128 },
    },
    tools: {
      answer: jsonAnswer(read('tools.json')),
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'gSIMJiOkT', name: 'get_weather', arguments: { city: 'San Francisco' } }],
      meters: { inputTokens: 124, outputTokens: 22 },
    },
    'tools-stream': {
      answer: stream('tools.chunks.txt'),
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'gSIMJiOkT', name: 'get_weather', arguments: { city: 'San Francisco' } }],
      meters: { inputTokens: 124, outputTokens: 22 },
    },
    'parallel-tools-stream': {
      answer: stream('parallel-tools.chunks.txt'),
      finishReason: 'tool_calls',
      toolCalls: [
        { id: 'D681PevKs', name: 'get_weather', arguments: { city: 'Paris' } },
        { id: 'yTklDpXqm', name: 'get_weather', arguments: { city: 'Tokyo' } },
      ],
      meters: { inputTokens: 130, outputTokens: 44 },
    },
    length: {
      ...wire.chat.length,
      sent: (request) => expect(JSON.parse(request.body.toString())).toMatchObject({ max_tokens: 16 }),
    },
  },
  reasoningStream: { answer: stream('reasoning.chunks.txt'), content: '42', reasoning: 'Six times seven.', finishReason: 'stop', meters: { inputTokens: 20, outputTokens: 11 } },
  errors: {
    ...wire.errors,
    invalid_request: {
      answer: jsonAnswer({ detail: [{ type: 'extra_forbidden', loc: ['body', 'user'], msg: 'Extra inputs are not permitted', input: 'x' }] }, { status: 422 }),
    },
    auth: { answer: jsonAnswer({ detail: 'Unauthorized' }, { status: 401 }) },
    rate_limited: {
      answer: jsonAnswer({ object: 'error', message: 'Requests rate limit exceeded', type: 'rate_limited', param: null, code: '1300' }, { status: 429 }),
    },
  },
};
