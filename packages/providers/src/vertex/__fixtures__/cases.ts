import { expect } from '@jest/globals';
import type { BatteryFixtures } from '../../testing/battery.js';
import { jsonAnswer, recording, sseAnswer } from '../../testing/battery.js';
import type { WireAnswer, WireRequest } from '../../testing/wire-server.js';

/** Recorded answers of generateContent, streamGenerateContent and predict, shortened. */
const file = (name: string): Buffer => recording(import.meta.dirname, name);
const parsed = (name: string): any => JSON.parse(file(name).toString());

/** The API ends its events with CRLF CRLF and says nothing at the end. */
export function eventStream(lines: string | readonly object[]): string {
  const events = typeof lines === 'string' ? lines.trim().split('\n') : lines.map((event) => JSON.stringify(event));
  return events.map((line) => `data: ${line}\r\n\r\n`).join('');
}

const stream = (name: string): WireAnswer => sseAnswer(eventStream(file(name).toString()));
const failure = (status: number, code: string, message: string): { answer: WireAnswer } => ({
  answer: jsonAnswer({ error: { code: status, message, status: code } }, { status }),
});
const bodyOf = (request: { body: Buffer }): any => JSON.parse(request.body.toString());

const part = (city: string, signature?: string): object => ({
  functionCall: { name: 'get_weather', args: { city } },
  ...(signature === undefined ? {} : { thoughtSignature: signature }),
});
const calls = [part('Paris', 'AY89a19YsnFp7FOSIejJDV9XuMU996D'), part('Tokyo')];
const answerWith = (parts: object[], over: object = {}): object => ({
  ...parsed('plain.json'),
  candidates: [{ content: { parts, role: 'model' }, finishReason: 'STOP', index: 0, ...over }],
});
/** One part per chunk, without any index: how parallel calls arrive. */
const chunksWith = (parts: object[]): object[] => [
  ...parts.map((each) => ({ ...parsed('plain.json'), candidates: [{ content: { parts: [each], role: 'model' }, index: 0 }] })),
  answerWith([{ text: '' }]),
];

const meters = { inputTokens: 9, outputTokens: 272, reasoningTokens: 244 };
const streamMeters = { inputTokens: 9, outputTokens: 208, reasoningTokens: 185 };
const TEXT = "There are **3** r's in strawberry.\n\nHere is the breakdown: st**r**awbe**rr**y.";
const STREAMED = 'There are **3** "r"s in strawberry.\n\nst**r**awbe**rr**y';
const cachedUsage = parsed('cached.json').usageMetadata;
const cachedMeters = { inputTokens: 82, outputTokens: 60, cachedInputTokens: 3, reasoningTokens: 56 };
const paris = { name: 'get_weather', arguments: { city: 'Paris' } };
const tokyo = { name: 'get_weather', arguments: { city: 'Tokyo' } };

/** As many vectors as there were texts. */
function embedded(request: WireRequest): WireAnswer {
  const { instances } = bodyOf(request);
  return jsonAnswer({ ...parsed('embeddings.json'), predictions: parsed('embeddings.json').predictions.slice(0, instances.length) });
}
const vectors = parsed('embeddings.json').predictions.map((prediction: any) => prediction.embeddings.values);

export const fixtures: BatteryFixtures = {
  settings: (origin) => ({
    vertex_endpoint: origin,
    gcp_project_id: 'my-project',
    vertex_location: 'europe-west4',
    vertex_api_key: 'AIzaSyD-0123456789abcdefghij',
  }),
  route: { providerModel: 'gemini-2.5-flash' },
  garbage: 'data: {"candidates": [{"content"\r\n\r\n',
  streamError: {
    tail: 'data: {"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}\r\n\r\n',
    kind: 'overloaded',
  },
  chat: {
    plain: {
      answer: jsonAnswer(file('plain.json')),
      content: TEXT,
      finishReason: 'stop',
      meters,
      sent(request) {
        expect(request.url).toBe('/v1beta1/projects/my-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent');
        expect(request.headers).toMatchObject({ 'x-goog-api-key': 'AIzaSyD-0123456789abcdefghij' });
        expect(bodyOf(request)).toEqual({ contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] });
      },
    },
    stream: {
      answer: stream('stream.chunks.txt'),
      content: STREAMED,
      finishReason: 'stop',
      meters: streamMeters,
      sent: (request) => expect(request.url).toMatch(/:streamGenerateContent\?alt=sse$/),
    },
    'usage-cached': { answer: jsonAnswer(file('cached.json')), content: '42', finishReason: 'stop', meters: cachedMeters },
    'usage-cached-stream': {
      answer: sseAnswer(
        eventStream([answerWith([{ text: '4' }], { finishReason: undefined }), { ...answerWith([{ text: '2' }]), usageMetadata: cachedUsage }]),
      ),
      content: '42',
      finishReason: 'stop',
      meters: cachedMeters,
    },
    tools: {
      answer: jsonAnswer(answerWith([calls[0]!])),
      content: null,
      toolCalls: [paris],
      finishReason: 'tool_calls',
      meters,
      sent(request) {
        expect(bodyOf(request).tools).toEqual([
          {
            functionDeclarations: [
              { name: 'get_weather', parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
            ],
          },
        ]);
      },
    },
    'tools-stream': {
      answer: stream('tools.chunks.txt'),
      content: null,
      toolCalls: [{ name: 'weather', arguments: { location: 'San Francisco' } }],
      finishReason: 'tool_calls',
      meters: { inputTokens: 29, outputTokens: 819, reasoningTokens: 804 },
    },
    'parallel-tools': { answer: jsonAnswer(answerWith(calls)), content: null, toolCalls: [paris, tokyo], finishReason: 'tool_calls', meters },
    'parallel-tools-stream': {
      answer: sseAnswer(eventStream(chunksWith(calls))),
      content: null,
      toolCalls: [paris, tokyo],
      finishReason: 'tool_calls',
      meters,
    },
    'no-argument-tool': {
      answer: jsonAnswer(answerWith([{ functionCall: { name: 'get_time' } }])),
      content: null,
      toolCalls: [{ name: 'get_time', arguments: {} }],
      finishReason: 'tool_calls',
      meters,
    },
    'no-argument-tool-stream': {
      answer: stream('argument-pieces.chunks.txt'),
      content: null,
      reasoning: '**Processing User Requests**\n\n',
      toolCalls: [
        { name: 'read_theme', arguments: {} },
        { name: 'read_screen', arguments: { id: 'A' } },
        { name: 'read_screen', arguments: { id: 'B' } },
      ],
      finishReason: 'tool_calls',
      meters: { inputTokens: 249, outputTokens: 241, reasoningTokens: 183 },
    },
    'image-input': {
      answer: jsonAnswer(file('plain.json')),
      content: TEXT,
      finishReason: 'stop',
      meters,
      sent: (request) => expect(bodyOf(request).contents[0].parts[1]).toEqual({ inlineData: { mimeType: 'image/png', data: expect.any(String) } }),
    },
    'json-schema': {
      answer: jsonAnswer(answerWith([{ text: '{"answer":42}' }])),
      content: '{"answer":42}',
      finishReason: 'stop',
      meters,
      sent(request) {
        expect(bodyOf(request).generationConfig).toEqual({
          responseMimeType: 'application/json',
          responseJsonSchema: { type: 'object', properties: { answer: { type: 'integer' } }, required: ['answer'], additionalProperties: false },
        });
      },
    },
    length: {
      answer: jsonAnswer(file('length.json')),
      content: null,
      finishReason: 'length',
      meters: { inputTokens: 15, outputTokens: 2, reasoningTokens: 2 },
      sent: (request) => expect(bodyOf(request).generationConfig.maxOutputTokens).toBe(16),
    },
    'content-filter': { answer: jsonAnswer(answerWith([], { finishReason: 'SAFETY' })), content: null, finishReason: 'content_filter', meters },
  },
  contentFilterError: { answer: jsonAnswer(file('blocked.json')) },
  errors: {
    invalid_request: {
      ...failure(400, 'INVALID_ARGUMENT', 'Thinking level MINIMAL is not supported for this model. Please retry with other thinking level.'),
      param: 'reasoning_effort',
    },
    context_length: failure(400, 'INVALID_ARGUMENT', 'The input token count (1206131) exceeds the maximum number of tokens allowed (1048576).'),
    rate_limited: { answer: jsonAnswer(file('rate-limited.json'), { status: 429 }), retryAfterMs: 34_400 },
    auth: failure(403, 'PERMISSION_DENIED', "Permission 'aiplatform.endpoints.predict' denied on resource."),
    not_found: failure(404, 'NOT_FOUND', 'Publisher Model `publishers/google/models/gemini-9` was not found.'),
    overloaded: failure(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'),
    server_error: failure(500, 'INTERNAL', 'An internal error has occurred.'),
  },
  embeddings: {
    one: { answer: embedded, vectors: vectors.slice(0, 1), meters: { inputTokens: 5, outputTokens: 0 } },
    two: { answer: embedded, vectors, meters: { inputTokens: 11, outputTokens: 0 } },
  },
  images: {
    one: { answer: jsonAnswer(file('image.json')), meters: { inputTokens: 10, outputTokens: 1392, images: 1, imageSize: '1x1', imageQuality: 'standard' } },
  },
};
