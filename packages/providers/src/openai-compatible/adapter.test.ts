import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ProviderError } from '../spec/provider-error.js';
import type { JsonReply } from '../spec/provider.js';
import { collect, makeCall, makeRoute } from '../testing/call.js';
import { UndiciTransport } from '../testing/undici-transport.js';
import { WireServer, type WireAnswer } from '../testing/wire-server.js';
import { openAiCompatible } from './adapter.js';

let server: WireServer;
let answer: WireAnswer;
const transport = new UndiciTransport();

beforeAll(async () => {
  server = await WireServer.start(() => answer);
});
afterAll(async () => {
  await transport.close();
  await server.close();
});
beforeEach(() => {
  answer = json({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1700000000,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
    usage: USAGE,
  });
});

const USAGE = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 };

function json(body: unknown, over: Partial<WireAnswer> = {}): WireAnswer {
  return { headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body), ...over };
}

function adapter(settings: Record<string, string> = {}): ReturnType<typeof openAiCompatible.create> {
  return openAiCompatible.create(makeRoute({ base_url: `${server.url}/v1/`, api_key: 'k-123', ...settings }));
}

async function invoke(body: Record<string, unknown> | string, over: Parameters<typeof makeCall>[2] = {}): Promise<{ reply: JsonReply; body: any; sent: any }> {
  const reply = (await adapter().invoke(makeCall(transport, body, over))) as JsonReply;
  return { reply, body: JSON.parse(reply.body.toString()), sent: JSON.parse(server.last.body.toString()) };
}

const CHAT = { model: 'my-alias', messages: [{ role: 'user', content: 'hi' }] };

describe('the upstream request', () => {
  it('is the client body byte for byte but for the model', async () => {
    const raw = '{ "temperature":0, "model" : "my-alias","messages":[{"role":"user","content":"\\u00e9 \\"model\\": x"}],"x_unknown":1e3 }';
    await invoke(raw);
    expect(server.last.body.toString()).toBe(raw.replace('"my-alias"', '"upstream-model"'));
    expect(server.last.url).toBe('/v1/chat/completions');
    expect(server.last.headers).toMatchObject({ authorization: 'Bearer k-123', 'content-type': 'application/json', accept: 'application/json' });
  });

  it('asks for usage on every stream, and keeps the other stream options', async () => {
    answer = { body: 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', headers: { 'content-type': 'text/event-stream' } };
    for (const [given, sent] of [
      [undefined, { include_usage: true }],
      [null, { include_usage: true }],
      [{ include_obfuscation: false }, { include_obfuscation: false, include_usage: true }],
      [{ include_usage: false }, { include_usage: true }],
      [{ include_usage: true }, { include_usage: true }],
    ]) {
      await collect(await adapter().invoke(makeCall(transport, { stream_options: given, ...CHAT, stream: true })));
      expect(JSON.parse(server.last.body.toString())).toEqual({ ...CHAT, model: 'upstream-model', stream: true, stream_options: sent });
      expect(server.last.headers.accept).toBe('text/event-stream');
    }
  });

  it('is written anew when a name stands twice, so that no server can read another model out of it', async () => {
    await invoke('{"model":"other","messages":[],"model":"my-alias"}');
    expect(server.last.body.toString()).toBe('{"model":"upstream-model","messages":[]}');
  });

  it.each([
    [{}, 50, { max_tokens: 50 }],
    [{ max_tokens: 100 }, 50, { max_tokens: 50 }],
    [{ max_completion_tokens: 100 }, 50, { max_completion_tokens: 50 }],
    [{ max_tokens: 10 }, 50, { max_tokens: 10 }],
    [{ max_tokens: null }, 50, { max_tokens: 50 }],
    [{ max_tokens: 10, max_completion_tokens: 90 }, 50, { max_tokens: 10, max_completion_tokens: 50 }],
  ])('caps %j at %i as %j', async (given, maxOutputTokens, sent) => {
    expect((await invoke({ ...CHAT, ...given }, { maxOutputTokens })).sent).toEqual({ ...CHAT, model: 'upstream-model', ...sent });
  });

  it('carries the organization, and no authorization where there is no key', async () => {
    await adapter({ api_key: ' ', openai_organization: 'org-1' }).invoke(makeCall(transport, CHAT));
    expect(server.last.headers).toMatchObject({ 'openai-organization': 'org-1' });
    expect(server.last.headers.authorization).toBeUndefined();
  });

  it('does not reach a server whose route has no base_url', () => {
    expect(() => openAiCompatible.create(makeRoute({}))).toThrow(ProviderError);
    expect(openAiCompatible.settings.safeParse({}).success).toBe(false);
    for (const base_url of ['ftp://x/v1', 'http://user:pw@x/v1', 'http://x/v1?a=1', 'x'])
      expect(openAiCompatible.settings.safeParse({ base_url }).success).toBe(false);
    expect(openAiCompatible.settings.safeParse({ base_url: 'http://10.0.0.1:8000/v1', note: 'kept' }).data).toEqual({
      base_url: 'http://10.0.0.1:8000/v1',
      note: 'kept',
    });
  });
});

describe('a chat answer', () => {
  it('passes byte for byte but for the model, with its usage read', async () => {
    const text =
      '{ "id":"chatcmpl-1","object":"chat.completion", "created":17,"model":"gpt-2026","choices":[{"index":0,"message":{"role":"assistant","content":"a\\u00e9","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":6}},"system_fingerprint":null}';
    answer = json(text);
    const { reply } = await invoke(CHAT);
    expect(reply.body.toString()).toBe(text.replace('"gpt-2026"', '"my-alias"'));
    expect(reply.meters).toEqual({ inputTokens: 5, outputTokens: 7, reasoningTokens: 6 });
  });

  it('is made whole where the server leaves things out', async () => {
    answer = json({
      id: '',
      choices: [
        { message: { reasoning: 'why', tool_calls: [{ function: { name: 'f', arguments: '' } }, { id: 'b', function: { name: 'g', arguments: { x: 1 } } }] } },
      ],
      usage: { prompt_tokens: 4, completion_tokens: 2 },
    });
    const { body } = await invoke(CHAT);
    expect(body).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'my-alias',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            reasoning_content: 'why',
            tool_calls: [
              { id: expect.stringMatching(/^call_/), type: 'function', function: { name: 'f', arguments: '{}' } },
              { id: 'b', type: 'function', function: { name: 'g', arguments: '{"x":1}' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 },
    });
  });

  it.each([[{}], [{ usage: null }], [{ usage: 7 }], [{ usage: {} }], [{ usage: { total_tokens: 'many' } }]])(
    'counts the bytes of the text where the server reports no usage, and tells the client what is booked: %j',
    async (told) => {
      answer = json({ choices: [{ index: 0, message: { role: 'assistant', content: 'héllo', reasoning_content: 'abc' }, finish_reason: 'stop' }], ...told });
      const { reply, body } = await invoke(CHAT);
      expect(reply.meters).toBeUndefined();
      expect(reply.outputBytes).toBe(9);
      expect(body['usage']).toEqual({ prompt_tokens: 17, completion_tokens: 3, total_tokens: 20 });
    },
  );

  it.each([
    ['', 'malformed'],
    ['<html>', 'malformed'],
    ['{"choices":[]}', 'malformed'],
    ['{"id":"x"}', 'malformed'],
    ['{"choices":[{"index":0,"message":{"content":"cut', 'malformed'],
    ['{"choices":[{"index":0}]}', 'malformed'],
    ['{"choices":[{"index":0,"message":null}]}', 'malformed'],
    ['{"error":{"message":"x","code":"content_filter"}}', 'content_filter'],
  ])('that reads %j is %s', async (text, kind) => {
    answer = json(text);
    await expect(invoke(CHAT)).rejects.toMatchObject({ kind });
  });
});

describe('embeddings', () => {
  const REQUEST = { model: 'my-alias', input: ['a', 'b'] };
  const FLOATS = [
    [0.5, -1],
    [2, 0.25],
  ];
  const BASE64 = ['AAAAPwAAgL8=', 'AAAAQAAAgD4='];
  const reply = (vectors: unknown[], over: object = {}): object => ({
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: 'm',
    usage: { prompt_tokens: 2, total_tokens: 2 },
    ...over,
  });

  it.each([
    ['float', FLOATS, FLOATS],
    ['float', BASE64, FLOATS],
    ['base64', BASE64, BASE64],
    ['base64', FLOATS, BASE64],
    [undefined, FLOATS, FLOATS],
  ])('are sent as %s whatever the server answers', async (encoding_format, upstream, expected) => {
    answer = json(reply(upstream));
    const { body, reply: out } = await invoke({ ...REQUEST, encoding_format });
    expect(body).toEqual(reply(expected, { model: 'my-alias' }));
    expect(out.meters).toEqual({ inputTokens: 2, outputTokens: 0 });
    expect(server.last.url).toBe('/v1/embeddings');
  });

  it.each([[undefined], [null], [{}]])('always tell their usage, as SDKs expect: by the estimate where the server says %j', async (usage) => {
    answer = json(reply(FLOATS, { usage }));
    const { body, reply: out } = await invoke(REQUEST);
    expect(body.usage).toEqual({ prompt_tokens: 17, total_tokens: 17 });
    expect(out.meters).toBeUndefined();
  });

  it('are put in the order of the inputs', async () => {
    const mixed = reply([]) as any;
    answer = json({
      ...mixed,
      data: [
        { index: 1, embedding: FLOATS[1] },
        { index: 0, embedding: FLOATS[0] },
      ],
    });
    expect((await invoke(REQUEST)).body).toEqual(reply(FLOATS, { model: 'my-alias' }));
  });

  it('take token lists: one list is one input, several are several', async () => {
    answer = json(reply([FLOATS[0]]));
    expect((await invoke({ ...REQUEST, input: [1, 2, 3] })).body.data).toHaveLength(1);
    answer = json(reply(FLOATS));
    expect((await invoke({ ...REQUEST, input: [[1, 2], [3]] })).body.data).toHaveLength(2);
  });

  it.each([
    [reply([FLOATS[0]])],
    [reply([FLOATS[0], []])],
    [reply([FLOATS[0], [[1, 2]]])],
    [reply([FLOATS[0], [1, null]])],
    [
      {
        ...(reply([]) as object),
        data: [
          { index: 0, embedding: [1] },
          { index: 0, embedding: [1] },
        ],
      },
    ],
    [{ object: 'list', model: 'm' }],
    [[]],
  ])('are malformed as %j', async (body) => {
    answer = json(body);
    await expect(invoke({ ...REQUEST, encoding_format: 'base64' })).rejects.toMatchObject({ kind: 'malformed' });
  });
});

describe('images', () => {
  const REQUEST = { model: 'my-alias', prompt: 'a cat', n: 2, size: '1792x1024', quality: 'hd' };
  const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAgAAAAEACAIAAAA=';

  it('pass as they are, and are counted with the size and quality of the answer, else of the request', async () => {
    const text = '{"created":17,"data":[{"url":"https://x/1","revised_prompt":"p"},{"url":"https://x/2"}]}';
    answer = json(text);
    const { reply } = await invoke(REQUEST);
    expect(reply.body.toString()).toBe(text);
    expect(reply.meters).toEqual({ inputTokens: 0, outputTokens: 0, images: 2, imageSize: '1792x1024', imageQuality: 'hd' });
    expect(server.last.url).toBe('/v1/images/generations');
    answer = json({
      created: 17,
      data: [{ b64_json: PNG }],
      size: '1024x1536',
      quality: 'high',
      usage: { input_tokens: 10, output_tokens: 4160, total_tokens: 4170 },
    });
    expect((await invoke(REQUEST)).reply.meters).toEqual({ inputTokens: 10, outputTokens: 4160, images: 1, imageSize: '1024x1536', imageQuality: 'high' });
  });

  it('are measured where nobody tells their size', async () => {
    answer = json({ data: [{ b64_json: PNG }] });
    const { reply, body } = await invoke({ model: 'my-alias', prompt: 'x', size: 'auto' });
    expect(reply.meters).toEqual({ inputTokens: 0, outputTokens: 0, images: 1, imageSize: '512x256' });
    expect(body.created).toEqual(expect.any(Number));
  });
});

describe('the connection', () => {
  it('is closed when the consumer stops early, and what was read counts', async () => {
    answer = { body: ['data: {"id":"c","choices":[{"index":0,"delta":{"content":"abc"}}]}\n\n'], then: 'hang' };
    const reply = await adapter().invoke(makeCall(transport, { ...CHAT, stream: true }));
    if (reply.kind !== 'stream') throw new Error('no stream');
    for await (const frame of reply.frames) {
      expect(frame.toString()).toContain('abc');
      break;
    }
    await server.aborted;
    expect(reply.progress()).toEqual({ outputBytes: 3 });
  });

  it('is used again after a stream that ended', async () => {
    answer = { body: ['data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', 'data: [DONE]\n\n'] };
    const { error, chunks } = await collect(await adapter().invoke(makeCall(transport, { ...CHAT, stream: true })));
    expect(error).toBeUndefined();
    expect(chunks).toHaveLength(1);
  });

  it('that stays open after [DONE] does not hold the client', async () => {
    answer = { body: ['data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'], then: 'hang' };
    const { error } = await collect(await adapter().invoke(makeCall(transport, { ...CHAT, stream: true }, { idleTimeoutMs: 2000 })));
    expect(error).toBeUndefined();
    await server.aborted;
  });

  it('that breaks in the middle is a network failure after the frames that came', async () => {
    answer = { body: ['data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'], then: 'reset' };
    const { error, chunks } = await collect(await adapter().invoke(makeCall(transport, { ...CHAT, stream: true })));
    expect(error).toMatchObject({ kind: 'network' });
    expect(chunks).toHaveLength(1);
  });

  it('can fail over while the model has said nothing: the role alone is held back', async () => {
    const role = 'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n';
    const fault = 'data: {"error":{"message":"overloaded","code":"server_is_overloaded"}}\n\n';
    const text = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
    for (const [body, frames] of [
      [[role, fault], 0],
      [[role + fault], 0],
      [[role, text, fault], 2],
      [[...Array.from({ length: 20 }, () => role), fault], 20],
    ] as [string[], number][]) {
      answer = { body };
      const { error, chunks } = await collect(await adapter().invoke(makeCall(transport, { ...CHAT, stream: true })));
      expect(error).toMatchObject({ kind: 'overloaded' });
      expect(chunks).toHaveLength(frames);
    }
  });

  it('times out without headers, and between chunks', async () => {
    answer = { body: [': x\n\n'], then: 'hang' };
    const { error } = await collect(await adapter().invoke(makeCall(transport, { ...CHAT, stream: true }, { idleTimeoutMs: 2000 })));
    expect(error).toMatchObject({ kind: 'timeout' });
  });

  it('is probed by listing the models', async () => {
    answer = json({ object: 'list', data: [] });
    await adapter().probe!({ transport, signal: new AbortController().signal, timeoutMs: 30_000 });
    expect([server.last.method, server.last.url, server.last.headers.authorization]).toEqual(['GET', '/v1/models', 'Bearer k-123']);
    answer = json({ error: { message: 'no' } }, { status: 401 });
    await expect(adapter().probe!({ transport, signal: new AbortController().signal, timeoutMs: 30_000 })).rejects.toMatchObject({ kind: 'auth', status: 401 });
  });
});
