import { expect } from '@jest/globals';
import * as wire from '../../openai/__fixtures__/wire.js';
import { jsonAnswer, recording, sseAnswer, sseOf, type BatteryFixtures } from '../../testing/battery.js';

/** Shapes recorded from Azure: other key order, filter results everywhere, an odd first chunk, a late one without a delta. */

const read = (name: string): Buffer => recording(import.meta.dirname, name);
const KEY = '0123456789abcdef0123456789abcdef';

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ endpoint: `${origin}/`, api_key: KEY, api_version: '2025-01-01-preview' }),
  route: { deployment: 'gpt 4/1' },
  chat: {
    ...wire.chat,
    plain: {
      answer: jsonAnswer(read('plain.json')),
      content: 'Hello World',
      finishReason: 'stop',
      meters: { inputTokens: 15, outputTokens: 5 },
      sent: (request) => {
        expect(request.url).toBe('/openai/deployments/gpt%204%2F1/chat/completions?api-version=2025-01-01-preview');
        expect(request.headers).toMatchObject({ 'api-key': KEY });
        expect(request.headers.authorization).toBeUndefined();
      },
    },
    stream: { answer: sseAnswer(sseOf(read('stream.chunks.txt')).replaceAll('\n', '\r\n')), content: 'Hello World', finishReason: 'stop', meters: { inputTokens: 15, outputTokens: 5 } },
    'tools-stream': {
      answer: sseAnswer(sseOf(read('tools.chunks.txt'))),
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'call_Q2l8nT4vXbY6cR0aJ3mK5pWz', name: 'get_weather', arguments: { city: 'Paris' } }],
      meters: { inputTokens: 61, outputTokens: 14 },
    },
    'content-filter': { answer: jsonAnswer(read('content-filter.json')), content: 'The recipe', finishReason: 'content_filter', meters: { inputTokens: 20, outputTokens: 3 } },
  },
  contentFilterError: {
    answer: jsonAnswer(
      {
        error: {
          message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
          type: null,
          param: 'prompt',
          code: 'content_filter',
          status: 400,
          innererror: {
            code: 'ResponsibleAIPolicyViolation',
            content_filter_result: { hate: { filtered: false, severity: 'safe' }, jailbreak: { filtered: true, detected: true } },
          },
        },
      },
      { status: 400 },
    ),
  },
  errors: {
    ...wire.errors,
    auth: { answer: jsonAnswer({ error: { code: '401', message: 'Access denied due to invalid subscription key or wrong API endpoint.' } }, { status: 401 }) },
    not_found: { answer: jsonAnswer({ error: { code: 'DeploymentNotFound', message: 'The API deployment for this resource does not exist.' } }, { status: 404 }) },
    rate_limited: {
      answer: jsonAnswer(
        { error: { code: '429', message: 'Requests to the ChatCompletions_Create Operation have exceeded call rate limit. Please retry after 6 seconds.' } },
        { status: 429, headers: { 'content-type': 'application/json', 'retry-after': '6' } },
      ),
      retryAfterMs: 6000,
    },
  },
  garbage: `\r\n\r\n${wire.garbage}`,
};
