import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inflateSync } from 'node:zlib';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import OpenAI from 'openai';
import { createDemoProvider } from './server.js';
import { countTokens, splitTokens } from './tokens.js';

let server: Server;
let origin: string;
let client: OpenAI;

interface Calls {
  total: number;
  calls: { model: string; status: number; stream: boolean; prompt_tokens: number; completion_tokens: number }[];
}

const calls = async (): Promise<Calls> => (await (await fetch(`${origin}/__calls`)).json()) as Calls;

beforeAll(async () => {
  server = createDemoProvider({ port: 0, host: '127.0.0.1', firstTokenMs: 0, tokenMs: 0, apiKey: 'right' });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new OpenAI({ apiKey: 'right', baseURL: `${origin}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

beforeEach(() => fetch(`${origin}/__calls`, { method: 'DELETE' }));

const weather = {
  type: 'function' as const,
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' }, unit: { enum: ['C', 'F'] } }, required: ['city'] } },
};
const time = { type: 'function' as const, function: { name: 'get_time', parameters: { type: 'object', properties: { zone: { type: 'string' } } } } };
const ask = (content: string) => [{ role: 'user' as const, content }];

describe('tokens', () => {
  it('joined give the text back, whatever the text', () => {
    for (const text of ['Hello,  world!', 'naïve 東京 👍🏽', '\n a \t', 'internationalization', '']) expect(splitTokens(text).join('')).toBe(text);
  });
});

describe('chat completions', () => {
  it('answers whole and streamed with the same text and usage', async () => {
    const whole = await client.chat.completions.create({ model: 'demo-chat', messages: ask('Hi there') });
    const stream = await client.chat.completions.create({
      model: 'demo-chat',
      messages: ask('Hi there'),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0]!.message.content);
    expect(usage).toEqual(whole.usage);
    expect(whole.usage!.completion_tokens).toBe(countTokens(text));
  });

  it('sends no usage in a stream that did not ask for it', async () => {
    const stream = await client.chat.completions.create({ model: 'demo-chat', messages: ask('Hi'), stream: true });
    for await (const chunk of stream) expect('usage' in chunk).toBe(false);
  });

  it('gives log probabilities of the same tokens whole and streamed', async () => {
    const body = { model: 'demo-chat', messages: ask('Hi there'), logprobs: true };
    const whole = await client.chat.completions.create(body);
    const streamed = await client.chat.completions.stream(body).finalChatCompletion();
    expect(streamed.choices[0]!.logprobs).toEqual(whole.choices[0]!.logprobs);
    expect(whole.choices[0]!.logprobs!.content!.length).toBe(whole.usage!.completion_tokens);
  });

  it('stops at max_tokens and says so', async () => {
    const answer = await client.chat.completions.create({ model: 'demo-chat', messages: ask('Hi'), max_tokens: 5 });
    expect(answer.choices[0]!.finish_reason).toBe('length');
    expect(answer.usage!.completion_tokens).toBe(5);
  });

  it('calls the tool that the prompt names, with arguments of its schema', async () => {
    const answer = await client.chat.completions.create({ model: 'demo-chat', messages: ask('please get_weather'), tools: [weather, time] });
    const call = answer.choices[0]!.message.tool_calls![0] as { function: { name: string; arguments: string } };
    expect(answer.choices[0]!.finish_reason).toBe('tool_calls');
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'please get_weather', unit: 'C' });
  });

  it('calls tools in parallel, also streamed, unless told not to', async () => {
    const request = { model: 'demo-chat', messages: ask('get_weather and get_time'), tools: [weather, time] };
    const answer = await client.chat.completions.stream(request).finalChatCompletion();
    expect(answer.choices[0]!.message.tool_calls!.map((call) => call.type === 'function' && call.function.name)).toEqual(['get_weather', 'get_time']);
    const single = await client.chat.completions.create({ ...request, parallel_tool_calls: false });
    expect(single.choices[0]!.message.tool_calls).toHaveLength(1);
  });

  it('gives JSON that matches a schema', async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, tags: { type: 'array', items: { $ref: '#/$defs/tag' }, minItems: 2 }, count: { type: 'integer', minimum: 3 } },
      required: ['name', 'tags', 'count'],
      $defs: { tag: { type: 'object', properties: { ok: { type: 'boolean' } } } },
    };
    const answer = await client.chat.completions.create({
      model: 'demo-chat',
      messages: ask('x'),
      response_format: { type: 'json_schema', json_schema: { name: 'thing', schema } },
    });
    expect(JSON.parse(answer.choices[0]!.message.content!)).toEqual({ name: 'x', tags: [{ ok: true }, { ok: true }], count: 3 });
  });

  it('counts an image part', async () => {
    const content = [
      { type: 'text' as const, text: 'What is it?' },
      { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AA==' } },
    ];
    const withImage = await client.chat.completions.create({ model: 'demo-chat', messages: [{ role: 'user', content }] });
    const without = await client.chat.completions.create({ model: 'demo-chat', messages: ask('What is it?') });
    expect(withImage.usage!.prompt_tokens - without.usage!.prompt_tokens).toBe(85);
    expect(withImage.choices[0]!.message.content).toContain('1 image');
  });

  it('logs exact usage of each call, of an aborted stream only what was sent', async () => {
    const slow = createDemoProvider({ port: 0, host: '127.0.0.1', firstTokenMs: 0, tokenMs: 10, apiKey: undefined });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const slowOrigin = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    const slowClient = new OpenAI({ apiKey: 'x', baseURL: `${slowOrigin}/v1` });
    const stream = await slowClient.chat.completions.create({ model: 'demo-chat', messages: ask('Hi'), stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === ' demo') break;
    let report: Calls;
    do report = (await (await fetch(`${slowOrigin}/__calls`)).json()) as Calls;
    while (report.calls[0]!.status === 0);
    expect(report.calls[0]).toMatchObject({ status: 499, stream: true });
    expect(report.calls[0]!.completion_tokens).toBeLessThan(20);
    slow.closeAllConnections();
    await new Promise((resolve) => slow.close(resolve));
  });
});

describe('faults', () => {
  it.each([
    ['demo-chat-error-500', 500],
    ['demo-chat-429', 429],
    ['demo-chat-error-404', 404],
    ['no-such-model', 404],
  ])('%s answers %i in OpenAI form', async (model, status) => {
    await expect(client.chat.completions.create({ model, messages: ask('x') })).rejects.toMatchObject({ status });
  });

  it('cuts the connection in the middle of a stream', async () => {
    const stream = await client.chat.completions.create({ model: 'demo-chat-cut', messages: ask('x'), stream: true });
    const drain = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    };
    await expect(drain()).rejects.toThrow();
    expect((await calls()).calls[0]!.completion_tokens).toBe(3);
  });

  it('refuses a wrong key', async () => {
    const stranger = new OpenAI({ apiKey: 'wrong', baseURL: `${origin}/v1`, maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  });
});

describe('embeddings', () => {
  it('are unit vectors, the same in base64 and floats, for text and tokens', async () => {
    const floats = await client.embeddings.create({ model: 'demo-embed', input: ['a red car', 'a red bus', 'quantum'], encoding_format: 'float' });
    // Without encoding_format the client asks for base64 and decodes it.
    const decoded = await client.embeddings.create({ model: 'demo-embed', input: ['a red car', 'a red bus', 'quantum'] });
    expect(decoded.data[0]!.embedding).toHaveLength(256);
    for (const [index, item] of floats.data.entries()) {
      expect(Math.hypot(...item.embedding)).toBeCloseTo(1, 5);
      expect(decoded.data[index]!.embedding.map(Math.fround)).toEqual(item.embedding.map(Math.fround));
    }
    const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
    const [car, bus, quantum] = floats.data.map((item) => item.embedding);
    expect(dot(car!, bus!)).toBeGreaterThan(dot(car!, quantum!));
    const tokens = await client.embeddings.create({ model: 'demo-embed', input: [[1, 2, 3]], dimensions: 12 });
    expect(tokens.data[0]!.embedding).toHaveLength(12);
    expect(tokens.usage.prompt_tokens).toBe(3);
  });
});

describe('images', () => {
  it('are PNG files of the asked size, as base64 and by address', async () => {
    const answer = await client.images.generate({ model: 'demo-image', prompt: 'blue', size: '64x32' as '256x256', n: 2, response_format: 'b64_json' });
    const png = Buffer.from(answer.data![0]!.b64_json!, 'base64');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([64, 32]);
    const data = png.subarray(png.indexOf('IDAT') + 4, png.indexOf('IEND') - 8);
    expect(inflateSync(data)).toHaveLength(32 * (1 + 64 * 3));
    const linked = await client.images.generate({ model: 'demo-image', prompt: 'blue', size: '64x32' as '256x256', response_format: 'url' });
    const fetched = Buffer.from(await (await fetch(linked.data![0]!.url!)).arrayBuffer());
    expect(fetched.equals(png)).toBe(true);
  });
});
