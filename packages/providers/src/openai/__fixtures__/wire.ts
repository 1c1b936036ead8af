import { recording, jsonAnswer, sseAnswer, sseOf, type BatteryFixtures, type ChatCase, type ErrorCase } from '../../testing/battery.js';

/**
 * OpenAI's own wire, in the shape of recorded traffic (key order, nulls, obfuscation), with texts shortened and ids
 * replaced: also what the servers promise that call themselves compatible with it.
 */

const read = (name: string): Buffer => recording(import.meta.dirname, name);
const json = (name: string): ChatCase['answer'] => jsonAnswer(read(`${name}.json`));
const stream = (name: string): ChatCase['answer'] => sseAnswer(sseOf(read(`${name}.chunks.txt`)));

const PARIS_TOKYO = [
  { name: 'get_weather', arguments: { city: 'Paris' } },
  { name: 'get_weather', arguments: { city: 'Tokyo' } },
];

export const chat: NonNullable<BatteryFixtures['chat']> = {
  plain: { answer: json('plain'), content: '**Galaxy Day**  \n\nIt’s a time to honor "shared wonder" — 🌌', finishReason: 'stop', meters: { inputTokens: 16, outputTokens: 363 } },
  stream: { answer: stream('stream'), content: '**Galaxy Day** — 🌌\n\n"wonder"', finishReason: 'stop', meters: { inputTokens: 16, outputTokens: 11 } },
  'usage-cached': { answer: json('usage-cached'), content: '42', finishReason: 'stop', meters: { inputTokens: 1306, outputTokens: 238, cachedInputTokens: 1024, reasoningTokens: 192 } },
  'usage-cached-stream': { answer: stream('usage-cached'), content: '42', finishReason: 'stop', meters: { inputTokens: 1306, outputTokens: 238, cachedInputTokens: 1024, reasoningTokens: 192 } },
  tools: {
    answer: json('tools'),
    content: null,
    finishReason: 'tool_calls',
    toolCalls: [{ id: 'call_qOfTGgDrItLORNfC6VwUbyLL', name: 'get_weather', arguments: { city: 'Shanghai' } }],
    meters: { inputTokens: 91, outputTokens: 14 },
  },
  'tools-stream': {
    answer: stream('tools'),
    finishReason: 'tool_calls',
    toolCalls: [{ id: 'call_PieqNSej6kM9hgYbcQdbZSaC', name: 'get_weather', arguments: { city: 'Paris' } }],
    meters: { inputTokens: 44, outputTokens: 14 },
  },
  'parallel-tools': { answer: json('parallel-tools'), content: null, finishReason: 'tool_calls', toolCalls: PARIS_TOKYO, meters: { inputTokens: 58, outputTokens: 46 } },
  'parallel-tools-stream': { answer: stream('parallel-tools'), finishReason: 'tool_calls', toolCalls: PARIS_TOKYO, meters: { inputTokens: 58, outputTokens: 46 } },
  'no-argument-tool': { answer: json('no-argument-tool'), finishReason: 'tool_calls', toolCalls: [{ name: 'get_time', arguments: {} }], meters: { inputTokens: 36, outputTokens: 10 } },
  'no-argument-tool-stream': { answer: stream('no-argument-tool'), finishReason: 'tool_calls', toolCalls: [{ name: 'get_time', arguments: {} }], meters: { inputTokens: 36, outputTokens: 10 } },
  'image-input': { answer: json('image-input'), content: 'A red dot.', finishReason: 'stop', meters: { inputTokens: 8512, outputTokens: 5 } },
  'json-schema': { answer: json('json-schema'), content: '{"answer":42}', finishReason: 'stop', meters: { inputTokens: 45, outputTokens: 6 } },
  length: { answer: json('length'), content: '', finishReason: 'length', meters: { inputTokens: 11, outputTokens: 16, reasoningTokens: 16 } },
  'content-filter': { answer: json('content-filter'), content: 'The recipe', finishReason: 'content_filter', meters: { inputTokens: 20, outputTokens: 3 } },
};

function failure(status: number, error: Record<string, unknown>, headers: Record<string, string> = {}): ErrorCase['answer'] {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ error }) };
}

export const errors: BatteryFixtures['errors'] = {
  invalid_request: { answer: failure(400, { message: "Invalid 'messages': empty array. Expected an array with minimum length 1.", type: 'invalid_request_error', param: 'messages', code: 'empty_array' }), param: 'messages' },
  context_length: {
    answer: failure(400, {
      message: "This model's maximum context length is 16385 tokens. However, your messages resulted in 20012 tokens.",
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    }),
  },
  rate_limited: {
    answer: failure(429, { message: 'Rate limit reached for gpt-4o', type: 'requests', param: null, code: 'rate_limit_exceeded' }, { 'retry-after': '2', 'retry-after-ms': '1500' }),
    retryAfterMs: 1500,
  },
  auth: { answer: failure(401, { message: 'Incorrect API key provided: sk-test-0123456789abcdef.', type: 'invalid_request_error', param: null, code: 'invalid_api_key' }) },
  not_found: { answer: failure(404, { message: 'The model `gpt-9` does not exist or you do not have access to it.', type: 'invalid_request_error', param: null, code: 'model_not_found' }) },
  overloaded: { answer: failure(503, { message: 'The engine is currently overloaded, please try again later', type: 'server_error', param: null, code: 'server_is_overloaded' }) },
  server_error: { answer: failure(500, { message: 'The server had an error while processing your request.', type: 'server_error', param: null, code: null }) },
};

export const contentFilterError: ErrorCase = {
  answer: failure(400, { message: 'Your request was rejected as a result of our safety system.', type: 'invalid_request_error', param: null, code: 'content_policy_violation' }),
};

export const streamError: BatteryFixtures['streamError'] = {
  tail: 'data: {"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}\n\n',
  kind: 'server_error',
};

export const garbage = 'data: {"id":"chatcmpl\n\n';

const ONE = [0.0057293195, -0.012724553, 0.025071993, -0.0038083868];
const TWO = [0.018322188, -0.0213018, 0.0085402345, 0.031117093];
export const embeddings: NonNullable<BatteryFixtures['embeddings']> = {
  one: { answer: () => jsonAnswer(read('embeddings-one.json')), vectors: [ONE], meters: { inputTokens: 2, outputTokens: 0 } },
  two: { answer: () => jsonAnswer(read('embeddings-two.json')), vectors: [ONE, TWO], meters: { inputTokens: 4, outputTokens: 0 } },
};

export const images: NonNullable<BatteryFixtures['images']> = {
  one: { answer: jsonAnswer(read('images.json')), meters: { inputTokens: 12, outputTokens: 272, images: 1, imageSize: '1024x1024', imageQuality: 'low' } },
};

export const secret = 'sk-test-0123456789abcdef';
