import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { listProviders } from './registry.js';
import type { JsonReply, ProviderAdapter, ProviderDefinition, StreamReply } from './spec/provider.js';
import { CHAT_CASES, CHAT_REQUESTS, ERROR_CASES, type BatteryFixtures, type ChatCase, type ChatCaseName, type ExpectedAnswer } from './testing/battery.js';
import { collect, makeCall, makeRoute, type Collected } from './testing/call.js';
import { UndiciTransport } from './testing/undici-transport.js';
import { WireServer, type WireAnswer, type WireRequest } from './testing/wire-server.js';

/**
 * The same tests for every provider of the registry, over real sockets, against bytes that the provider is known to send.
 * A provider without fixtures, or without one of the cases that its capabilities call for, fails.
 */

let server: WireServer;
let answer: (request: WireRequest) => WireAnswer;
const transport = new UndiciTransport();

beforeAll(async () => {
  server = await WireServer.start((request) => answer(request));
});
afterAll(async () => {
  await transport.close();
  await server.close();
});

async function fixturesOf(provider: ProviderDefinition): Promise<BatteryFixtures> {
  const folder = join(import.meta.dirname, provider.slug, '__fixtures__');
  if (!existsSync(join(folder, 'cases.ts'))) throw new Error(`${provider.slug} has no __fixtures__/cases.ts`);
  return ((await import(`./${provider.slug}/__fixtures__/cases.js`)) as { fixtures: BatteryFixtures }).fixtures;
}

function bytesOf(wire: WireAnswer): Buffer {
  const parts = typeof wire.body === 'string' || Buffer.isBuffer(wire.body) ? [wire.body] : wire.body;
  return Buffer.concat(parts.map((part) => Buffer.from(part as string)));
}

function isStreamCase(name: ChatCaseName): boolean {
  return name.endsWith('stream');
}

const DOCUMENTED_FINISH = ['stop', 'length', 'tool_calls', 'content_filter'];

function checkToolCalls(calls: any[], expected: ExpectedAnswer): void {
  expect(calls.map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) }))).toEqual(
    (expected.toolCalls ?? []).map(({ name, arguments: args }) => ({ name, arguments: args })),
  );
  for (const [i, { id }] of (expected.toolCalls ?? []).entries()) if (id !== undefined) expect(calls[i].id).toBe(id);
  expect(new Set(calls.map((call) => call.id)).size).toBe(calls.length);
  for (const call of calls) expect(call).toMatchObject({ type: 'function', id: expect.stringMatching(/./) });
}

function checkUsage(usage: any, meters: NonNullable<ExpectedAnswer['meters']>): void {
  expect(usage).toMatchObject({
    prompt_tokens: meters.inputTokens,
    completion_tokens: meters.outputTokens,
    total_tokens: meters.inputTokens + meters.outputTokens,
  });
}

function checkAnswer(reply: JsonReply, expected: ExpectedAnswer): void {
  const body = JSON.parse(reply.body.toString());
  expect(body).toMatchObject({ object: 'chat.completion', model: 'my-alias', id: expect.stringMatching(/./), created: expect.any(Number) });
  expect(body.choices).toHaveLength(1);
  const [choice] = body.choices;
  expect(DOCUMENTED_FINISH).toContain(choice.finish_reason);
  expect(choice).toMatchObject({ index: 0, finish_reason: expected.finishReason, message: { role: 'assistant' } });
  if (expected.content !== undefined) expect(choice.message.content).toBe(expected.content);
  expect(choice.message.reasoning_content).toBe(expected.reasoning);
  expect(choice.message).not.toHaveProperty('reasoning');
  checkToolCalls(choice.message.tool_calls ?? [], expected);
  expect(reply.meters).toEqual(expected.meters);
  if (expected.meters !== undefined) checkUsage(body.usage, expected.meters);
}

function checkStream({ chunks, error, progress }: Collected, expected: ExpectedAnswer, includeUsage: boolean): void {
  expect(error).toBeUndefined();
  expect(new Set(chunks.map((chunk) => `${chunk['id']} ${chunk['created']} ${chunk['object']} ${chunk['model']}`)).size).toBe(1);
  expect(chunks[0]).toMatchObject({ object: 'chat.completion.chunk', model: 'my-alias', id: expect.stringMatching(/./), created: expect.any(Number) });
  const deltas = chunks.flatMap((chunk) => (chunk['choices'] as any[]).map((choice) => choice));
  expect(deltas.map((choice) => choice.delta.role).filter((role) => role !== undefined)).toEqual(['assistant']);
  expect(deltas[0].delta.role).toBe('assistant');
  expect(deltas.map((choice) => choice.finish_reason).filter((reason) => reason !== null)).toEqual([expected.finishReason]);
  const text = (key: string): string => deltas.map((choice) => choice.delta[key] ?? '').join('');
  if (expected.content !== undefined) expect(text('content')).toBe(expected.content ?? '');
  expect(text('reasoning_content')).toBe(expected.reasoning ?? '');
  const calls: any[] = [];
  for (const part of deltas.flatMap((choice) => choice.delta.tool_calls ?? [])) {
    expect(Number.isInteger(part.index) && part.index <= calls.length).toBe(true);
    if (part.index === calls.length) calls.push({ id: part.id, type: part.type, function: { name: part.function.name, arguments: '' } });
    calls[part.index].function.arguments += part.function?.arguments ?? '';
  }
  checkToolCalls(calls, expected);
  expect(progress.meters).toEqual(expected.meters);
  const withUsage = chunks.filter((chunk) => 'usage' in chunk);
  if (!includeUsage) {
    expect(withUsage).toEqual([]);
    expect(chunks.every((chunk) => chunk['choices'].length > 0)).toBe(true);
  } else if (expected.meters !== undefined) {
    expect(chunks.map((chunk) => chunk['usage'] === null)).toEqual(chunks.map((_chunk, i) => i < chunks.length - 1));
    expect(chunks.at(-1)!['choices']).toEqual([]);
    checkUsage(chunks.at(-1)!['usage'], expected.meters);
  }
}

const loaded = await Promise.all(listProviders().map(async (provider) => ({ slug: provider.slug, provider, fixtures: await fixturesOf(provider) })));

describe.each(loaded)('$slug', ({ provider, fixtures }) => {
  const { chat, embeddings, images } = provider.capabilities;
  let adapter: ProviderAdapter;

  function play(wire: WireAnswer | ((request: WireRequest) => WireAnswer)): void {
    answer = (request) => fixtures.aside?.(request) ?? (typeof wire === 'function' ? wire(request) : wire);
  }

  async function ask(body: Record<string, unknown>, over: Parameters<typeof makeCall>[2] = {}): Promise<JsonReply> {
    const reply = await adapter.invoke(makeCall(transport, body, over));
    if (reply.kind !== 'json') throw new Error('a stream came back');
    return reply;
  }

  async function askStream(body: Record<string, unknown>, over: Parameters<typeof makeCall>[2] = {}): Promise<StreamReply> {
    const reply = await adapter.invoke(makeCall(transport, { ...body, stream: true }, over));
    if (reply.kind !== 'stream') throw new Error('no stream came back');
    return reply;
  }

  function chatCase(name: ChatCaseName): ChatCase {
    const found = fixtures.chat?.[name];
    if (found === undefined) throw new Error(`the case ${name} is missing`);
    return found;
  }

  beforeEach(() => {
    server.requests.length = 0;
    adapter = provider.create(makeRoute(fixtures.settings(server.url), fixtures.route));
  });

  it('accepts its own settings, and names its secrets among them', () => {
    const settings = fixtures.settings(server.url);
    expect(provider.settings.safeParse(settings).success).toBe(true);
    expect(provider.secretSettings.some((name) => name in settings)).toBe(true);
  });

  const CAPABILITY: Partial<Record<ChatCaseName, 'tools' | 'imageInput' | 'jsonSchema'>> = {
    tools: 'tools',
    'tools-stream': 'tools',
    'parallel-tools': 'tools',
    'parallel-tools-stream': 'tools',
    'no-argument-tool': 'tools',
    'no-argument-tool-stream': 'tools',
    'image-input': 'imageInput',
    'json-schema': 'jsonSchema',
  };
  const served = CHAT_CASES.filter((name) => chat !== undefined && (CAPABILITY[name] === undefined || chat[CAPABILITY[name]]));
  const refused = CHAT_CASES.filter((name) => chat !== undefined && !served.includes(name));

  for (const name of served.filter((each) => !isStreamCase(each))) {
    it(`chat: ${name}`, async () => {
      const expected = chatCase(name);
      play(expected.answer);
      checkAnswer(await ask(CHAT_REQUESTS[name]), expected);
      expected.sent?.(server.last);
    });
  }

  for (const name of served.filter(isStreamCase)) {
    it(`chat: ${name}, with and without usage, whole and in pieces of 7 bytes`, async () => {
      const expected = chatCase(name);
      const bytes = bytesOf(expected.answer);
      const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(7 * i, 7 * i + 7));
      for (const body of [bytes, pieces]) {
        for (const includeUsage of [false, true]) {
          play({ ...expected.answer, body });
          const request = includeUsage ? { ...CHAT_REQUESTS[name], stream_options: { include_usage: true } } : CHAT_REQUESTS[name];
          checkStream(await collect(await askStream(request)), expected, includeUsage);
        }
      }
      expected.sent?.(server.last);
    });
  }

  if (fixtures.reasoningStream !== undefined) {
    it('chat: thinking in a stream is spelled reasoning_content', async () => {
      play(fixtures.reasoningStream!.answer);
      checkStream(await collect(await askStream(CHAT_REQUESTS.stream)), fixtures.reasoningStream!, false);
    });
  }

  for (const name of refused) {
    it(`chat: ${name} is refused before any call, by the name of a field`, async () => {
      await expect(adapter.invoke(makeCall(transport, CHAT_REQUESTS[name]))).rejects.toMatchObject({
        kind: 'unsupported_parameter',
        param: expect.any(String),
      });
      expect(server.requests).toEqual([]);
    });
  }

  if (chat !== undefined) {
    it('chat: choices and log probabilities are served or refused by name, never dropped', async () => {
      play(chatCase('plain').answer);
      for (const [supported, extra, param] of [
        [chat.n, { n: 2 }, 'n'],
        [chat.logprobs, { logprobs: true }, 'logprobs'],
      ] as const) {
        server.requests.length = 0;
        const call = adapter.invoke(makeCall(transport, { ...CHAT_REQUESTS.plain, ...extra }));
        if (supported) {
          await call;
          // Other wires have names of their own for it, such as candidateCount and responseLogprobs.
          expect(server.last.body.toString()).toMatch(param === 'n' ? /"n":2|[cC]ount":2/ : /logprobs/i);
        } else {
          await expect(call).rejects.toMatchObject({ kind: 'unsupported_parameter', param });
          expect(server.requests).toEqual([]);
        }
      }
    });

    it('chat: zero is a temperature, and a top_p, and reaches the provider', async () => {
      play(chatCase('plain').answer);
      await ask({ ...CHAT_REQUESTS.plain, temperature: 0, top_p: 0 });
      expect(server.last.body.toString()).toMatch(/"temperature":0[,}]/);
      expect(server.last.body.toString()).toMatch(/"top_?[pP]":0[,}]/);
    });

    it('chat: a stream cut in the middle is a fault after the frames that came, by an end and by a reset', async () => {
      const wire = chatCase('stream').answer;
      const bytes = bytesOf(wire);
      for (const then of ['end', 'reset'] as const) {
        play({ ...wire, body: bytes.subarray(0, Math.floor(bytes.length / 2)), then });
        const { error, chunks } = await collect(await askStream(CHAT_REQUESTS.stream));
        expect(error).toMatchObject({ name: 'ProviderError', kind: then === 'end' ? 'malformed' : expect.stringMatching(/network|malformed/) });
        expect(chunks.flatMap((chunk) => chunk['choices']).every((choice: any) => choice.finish_reason === null)).toBe(true);
      }
    });

    it('chat: a stream that turns into garbage is malformed', async () => {
      const wire = chatCase('stream').answer;
      const bytes = bytesOf(wire);
      play({ ...wire, body: [bytes.subarray(0, Math.floor(bytes.length / 2)), fixtures.garbage] });
      const { error } = await collect(await askStream(CHAT_REQUESTS.stream));
      expect(error).toMatchObject({ name: 'ProviderError', kind: 'malformed' });
    });

    it('chat: an answer that is cut, or no JSON, is malformed', async () => {
      const wire = chatCase('plain').answer;
      const bytes = bytesOf(wire);
      for (const body of [bytes.subarray(0, bytes.length - 20), '<html>welcome</html>', '', 'null', '[]']) {
        play({ ...wire, body });
        await expect(ask(CHAT_REQUESTS.plain)).rejects.toMatchObject({ name: 'ProviderError', kind: 'malformed' });
      }
    });

    it('chat: an error inside a stream is that error, without a fake stop', async () => {
      if (fixtures.streamError === undefined) throw new Error('streamError is missing');
      const wire = chatCase('stream').answer;
      const text = bytesOf(wire);
      // Half of the whole events, so that the error stands on its own.
      const boundary = Buffer.isBuffer(fixtures.streamError.tail) ? -1 : text.indexOf('\n\n', Math.floor(text.length / 3));
      const head = boundary < 0 ? Buffer.alloc(0) : text.subarray(0, boundary + 2);
      play({ ...wire, body: [head, fixtures.streamError.tail] });
      const { error, chunks } = await collect(await askStream(CHAT_REQUESTS.stream));
      expect(error).toMatchObject({ name: 'ProviderError', kind: fixtures.streamError.kind });
      expect(chunks.flatMap((chunk) => chunk['choices']).every((choice: any) => choice.finish_reason === null)).toBe(true);
    });

    it('chat: a client that leaves stops the provider, and what was produced is known', async () => {
      const wire = chatCase('stream').answer;
      const bytes = bytesOf(wire);
      play({ ...wire, body: bytes.subarray(0, Math.floor(bytes.length * 0.6)), then: 'hang' });
      const leaving = await askStream(CHAT_REQUESTS.stream);
      for await (const frame of leaving.frames) {
        expect(frame.length).toBeGreaterThan(0);
        break;
      }
      await server.aborted;
      expect(leaving.progress().outputBytes).toBeGreaterThanOrEqual(0);

      const controller = new AbortController();
      play({ ...wire, body: bytes.subarray(0, Math.floor(bytes.length * 0.6)), then: 'hang' });
      const aborted = await askStream(CHAT_REQUESTS.stream, { signal: controller.signal });
      const reading = collect(aborted);
      setImmediate(() => controller.abort());
      expect((await reading).error).toBeDefined();
      await server.aborted;
    });

    for (const name of ERROR_CASES) {
      it(`chat: a failure is told as ${name}, streamed or not`, async () => {
        const expected = fixtures.errors[name];
        if (expected === undefined) throw new Error(`the error case ${name} is missing`);
        play(expected.answer);
        for (const stream of [false, true]) {
          server.requests.length = 0;
          const error = await adapter.invoke(makeCall(transport, { ...CHAT_REQUESTS.plain, ...(stream ? { stream } : {}) })).then(
            (reply) => (reply.kind === 'stream' ? collect(reply).then((got) => got.error) : undefined),
            (caught: unknown) => caught,
          );
          expect(error).toMatchObject({
            name: 'ProviderError',
            kind: name,
            ...(expected.param === undefined ? {} : { param: expected.param }),
            ...(expected.retryAfterMs === undefined ? {} : { retryAfterMs: expected.retryAfterMs }),
          });
          // The gateway alone decides about another try: neither adapter nor SDK makes one.
          expect(server.requests.filter((request) => fixtures.aside?.(request) === undefined)).toHaveLength(1);
          for (const secret of provider.secretSettings) {
            const value = fixtures.settings(server.url)[secret];
            if (value !== undefined) expect((error as { internal?: string }).internal ?? '').not.toContain(value);
          }
        }
      });
    }

    if (fixtures.contentFilterError !== undefined) {
      it('chat: a prompt that the provider blocks is told as content_filter', async () => {
        play(fixtures.contentFilterError!.answer);
        await expect(ask(CHAT_REQUESTS.plain)).rejects.toMatchObject({ kind: 'content_filter' });
      });
    }
  } else {
    it('chat is refused before any call', async () => {
      await expect(ask(CHAT_REQUESTS.plain)).rejects.toMatchObject({ kind: 'unsupported_parameter' });
      expect(server.requests).toEqual([]);
    });
  }

  const EMBED = { model: 'my-alias', input: 'first text' };
  if (embeddings !== undefined) {
    it.each(['one', 'two'] as const)('embeddings: %s input, as floats and as base64', async (count) => {
      const expected = fixtures.embeddings?.[count];
      if (expected === undefined) throw new Error('the embeddings case is missing');
      play(expected.answer);
      const request = { ...EMBED, ...(count === 'two' ? { input: ['first text', 'second text'] } : {}) };
      const floats = await ask(request);
      const body = JSON.parse(floats.body.toString());
      expect(body).toMatchObject({ object: 'list', model: 'my-alias' });
      expect(body.data.map((item: any) => [item.object, item.index])).toEqual(expected.vectors.map((_vector, i) => ['embedding', i]));
      const near = (vector: number[], wanted: number[]): void => {
        expect(vector).toHaveLength(wanted.length);
        vector.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
      };
      body.data.forEach((item: any, i: number) => near(item.embedding, expected.vectors[i]!));
      expect(floats.meters).toEqual(expected.meters);
      // Clients read it without a look: where the provider counted nothing it is the estimate.
      const tokens = expected.meters?.inputTokens ?? 17;
      expect(body.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens });
      const encoded = JSON.parse((await ask({ ...request, encoding_format: 'base64' })).body.toString());
      encoded.data.forEach((item: any, i: number) => {
        const bytes = Buffer.from(item.embedding as string, 'base64');
        near(
          Array.from({ length: bytes.length / 4 }, (_, k) => bytes.readFloatLE(4 * k)),
          expected.vectors[i]!,
        );
      });
    });

    it('embeddings: token lists are served or refused by name', async () => {
      play(fixtures.embeddings!.one.answer);
      const call = ask({ ...EMBED, input: [1, 2, 3] });
      if (embeddings.tokenArrays) await call;
      else await expect(call).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'input' });
    });
  } else {
    it('embeddings are refused before any call', async () => {
      await expect(ask(EMBED)).rejects.toMatchObject({ kind: 'unsupported_parameter' });
      expect(server.requests).toEqual([]);
    });
  }

  const DRAW = { model: 'my-alias', prompt: 'a red dot' };
  if (images !== undefined) {
    it('images: one, with what it costs', async () => {
      const expected = fixtures.images?.one;
      if (expected === undefined) throw new Error('the images case is missing');
      play(expected.answer);
      const reply = await ask(DRAW);
      const body = JSON.parse(reply.body.toString());
      expect(body).toMatchObject({ created: expect.any(Number) });
      for (const image of body.data) expect(image.b64_json ?? image.url).toEqual(expect.any(String));
      expect(reply.meters).toEqual(expected.meters);
    });
  } else {
    it('images are refused before any call', async () => {
      await expect(ask(DRAW)).rejects.toMatchObject({ kind: 'unsupported_parameter' });
      expect(server.requests).toEqual([]);
    });
  }

  if (provider.create(makeRoute(fixtures.settings('http://127.0.0.1:9'), fixtures.route)).probe !== undefined) {
    it('is probed without spending money, and tells a dead provider', async () => {
      play(fixtures.probe ?? { status: 200, headers: { 'content-type': 'application/json' }, body: '{"object":"list","data":[]}' });
      const context = { transport, signal: new AbortController().signal, timeoutMs: 30_000 };
      await adapter.probe!(context);
      const methods = server.requests.filter((request) => fixtures.aside?.(request) === undefined).map((request) => request.method);
      if (fixtures.probe === undefined) expect(methods).toEqual(['GET']);
      play({ status: 503, body: '' });
      await expect(adapter.probe!(context)).rejects.toMatchObject({ name: 'ProviderError', kind: 'overloaded' });
    });
  }

  afterEach(() => {
    for (const request of server.requests) expect(request.url).not.toContain('undefined');
  });
});
