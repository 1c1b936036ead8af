import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Meters } from '@omg/domain';
import { eventStream as anthropicEvents } from './anthropic/__fixtures__/cases.js';
import { getProvider } from './registry.js';
import { ProviderError } from './spec/provider-error.js';
import type { ProviderReply } from './spec/provider.js';
import { jsonAnswer, recording, sseAnswer, sseOf, TINY_PNG } from './testing/battery.js';
import { collect, makeCall, makeRoute } from './testing/call.js';
import { Harness } from './testing/harness.js';
import type { WireAnswer, WireRequest } from './testing/wire-server.js';

/** Calls that fail after the provider counted something: the count goes along with the failure, to be billed exactly. */
let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());

const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };
const file = (provider: string, name: string): Buffer => recording(`${import.meta.dirname}/${provider}/__fixtures__`, name);
const AWS = { aws_access_key_id: 'AKID', aws_secret_access_key: 's', region: 'eu-central-1' };
const SERVER_ERROR = { error: { message: 'The server had an error', type: 'server_error', param: null, code: null } };

interface Failure {
  provider: string;
  settings: Record<string, string>;
  model?: string;
  body: Record<string, unknown>;
  answer: WireAnswer | ((request: WireRequest) => WireAnswer);
  consumed: Meters;
}

function invoke({ provider, settings, model, body, answer }: Failure): Promise<ProviderReply> {
  wire.reset(jsonAnswer({}));
  wire.answer = typeof answer === 'function' ? answer : () => answer;
  const route = makeRoute(settings, model === undefined ? {} : { providerModel: model });
  return getProvider(provider)!.create(route).invoke(makeCall(wire.transport, body));
}

const OPENAI = { provider: 'openai', settings: { api_key: 'sk-1' } };
const VERTEX = { provider: 'vertex', settings: { gcp_project_id: 'p', vertex_api_key: 'AIza-key' }, model: 'gemini-2.5-flash' };
const TITAN = { provider: 'bedrock', settings: AWS, model: 'amazon.titan-embed-text-v2:0' };
const THROTTLED = { status: 429, headers: { 'x-amzn-errortype': 'ThrottlingException' }, body: '{"message":"Too many requests"}' };

const garbledCall = {
  candidates: [{ content: { role: 'model', parts: [] }, finishReason: 'MALFORMED_FUNCTION_CALL', index: 0 }],
  usageMetadata: { promptTokenCount: 31, candidatesTokenCount: 12, totalTokenCount: 43 },
};

const FAILURES: Record<string, Failure> = {
  'an error answer that tells its usage': {
    ...OPENAI,
    body: ASK,
    answer: jsonAnswer({ ...SERVER_ERROR, usage: { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 } }, { status: 500 }),
    consumed: { inputTokens: 40, outputTokens: 2 },
  },
  'an answer without choices': {
    ...OPENAI,
    body: ASK,
    answer: jsonAnswer({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    }),
    consumed: { inputTokens: 7, outputTokens: 3 },
  },
  'embeddings that are not one per input': {
    ...OPENAI,
    body: { model: 'my-alias', input: ['a', 'b'] },
    answer: jsonAnswer(file('openai', 'embeddings-one.json')),
    consumed: {
      inputTokens: (JSON.parse(file('openai', 'embeddings-one.json').toString()) as { usage: { prompt_tokens: number } }).usage.prompt_tokens,
      outputTokens: 0,
    },
  },
  'a Messages answer without content': {
    provider: 'anthropic',
    settings: { api_key: 'k' },
    body: ASK,
    answer: jsonAnswer({ id: 'msg_1', type: 'message', role: 'assistant', usage: { input_tokens: 10, cache_read_input_tokens: 90, output_tokens: 5 } }),
    consumed: { inputTokens: 100, cachedInputTokens: 90, outputTokens: 5 },
  },
  'a prompt that Gemini blocked': { ...VERTEX, body: ASK, answer: jsonAnswer(file('vertex', 'blocked.json')), consumed: { inputTokens: 9, outputTokens: 0 } },
  'a tool call that Gemini garbled': { ...VERTEX, body: ASK, answer: jsonAnswer(garbledCall), consumed: { inputTokens: 31, outputTokens: 12 } },
  'a tool call that a Converse model garbled': {
    provider: 'bedrock',
    settings: AWS,
    model: 'meta.llama3-3-70b-instruct-v1:0',
    body: ASK,
    answer: jsonAnswer({
      output: { message: { role: 'assistant', content: [] } },
      stopReason: 'malformed_tool_use',
      usage: { inputTokens: 11, outputTokens: 22, totalTokens: 33 },
      metrics: { latencyMs: 1 },
    }),
    consumed: { inputTokens: 11, outputTokens: 22 },
  },
  'one of several embedding calls': {
    ...TITAN,
    body: { model: 'my-alias', input: ['one', 'bad', 'three'] },
    answer: (request) => (request.body.includes('bad') ? THROTTLED : jsonAnswer({ embedding: [0.5, 1], inputTextTokenCount: 4 })),
    consumed: { inputTokens: 8, outputTokens: 0 },
  },
  'one of several embedding batches': {
    provider: 'huggingface',
    settings: { endpoint: 'http://tei', hf_max_batch: '1' },
    body: { model: 'my-alias', input: ['one', 'bad', 'three'] },
    answer: (request) =>
      request.body.includes('bad')
        ? jsonAnswer({ error: 'Model is overloaded', error_type: 'overloaded' }, { status: 429 })
        : jsonAnswer([[0.5, 1]], { headers: { 'content-type': 'application/json', 'x-compute-tokens': '6' } }),
    consumed: { inputTokens: 12, outputTokens: 0 },
  },
  'one of several image calls': {
    provider: 'bedrock',
    settings: AWS,
    model: 'amazon.titan-image-generator-v2:0',
    body: { model: 'my-alias', prompt: 'a dot', n: 8, response_format: 'b64_json' },
    answer: (request) => (request.body.includes('"numberOfImages":5') ? jsonAnswer({ images: Array.from({ length: 5 }, () => TINY_PNG) }) : THROTTLED),
    consumed: { inputTokens: 0, outputTokens: 0, images: 5, imageSize: '1x1', imageQuality: 'standard' },
  },
};

describe('a failed call that was billed', () => {
  it.each(Object.entries(FAILURES))('%s: tells what the provider counted', async (_name, failure) => {
    const error: unknown = await invoke(failure).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProviderError);
    expect((error as ProviderError).consumed?.meters).toEqual(failure.consumed);
  });

  it('tells nothing where the provider told nothing', async () => {
    const error: unknown = await invoke({
      ...OPENAI,
      body: ASK,
      answer: jsonAnswer(SERVER_ERROR, { status: 500 }),
      consumed: { inputTokens: 0, outputTokens: 0 },
    }).catch((thrown: unknown) => thrown);
    expect((error as ProviderError).consumed).toBeUndefined();
  });
});

const STREAM = { ...ASK, stream: true };
const noMeters: Meters = { inputTokens: 0, outputTokens: 0 };

describe('a stream that fails before its first chunk', () => {
  it('knows the input that Anthropic counted at its start', async () => {
    const lines = file('anthropic', 'stream.chunks.txt').toString().split('\n');
    const start = JSON.parse(lines[0]!) as { message: { usage: { input_tokens: number } } };
    const overloaded = JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
    const answer = sseAnswer(anthropicEvents(`${lines[0]!}\n${overloaded}`));
    const { chunks, error, progress } = await collect(
      await invoke({ provider: 'anthropic', settings: { api_key: 'k' }, body: STREAM, answer, consumed: noMeters }),
    );
    expect(chunks).toEqual([]);
    expect(error).toMatchObject({ kind: 'overloaded' });
    expect(progress).toMatchObject({ inputMeters: { inputTokens: start.message.usage.input_tokens }, outputBytes: 0 });
  });

  it('knows the exact usage of a tool call that Gemini garbled', async () => {
    const answer = sseAnswer(`data: ${JSON.stringify(garbledCall)}\r\n\r\n`);
    const { chunks, error, progress } = await collect(await invoke({ ...VERTEX, body: STREAM, answer, consumed: noMeters }));
    expect(chunks).toEqual([]);
    expect(error).toMatchObject({ kind: 'malformed' });
    expect(progress.meters).toEqual({ inputTokens: 31, outputTokens: 12 });
  });

  it('knows the usage that an error inside the stream carries', async () => {
    const answer = sseAnswer(sseOf(JSON.stringify({ ...SERVER_ERROR, usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 } })));
    const { chunks, error, progress } = await collect(await invoke({ ...OPENAI, body: STREAM, answer, consumed: noMeters }));
    expect(chunks).toEqual([]);
    expect(error).toMatchObject({ kind: 'server_error' });
    expect(progress.meters).toEqual({ inputTokens: 5, outputTokens: 1 });
  });
});
