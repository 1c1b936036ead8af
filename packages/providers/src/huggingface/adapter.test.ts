import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonReply } from '../spec/provider.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { UndiciTransport } from '../testing/undici-transport.js';
import { WireServer, type WireAnswer, type WireRequest } from '../testing/wire-server.js';
import { huggingFace } from './adapter.js';

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

/** Answers each text with a vector that tells which one it was, and counts a token per text. */
const embed = (request: WireRequest, headers: Record<string, string> = {}): WireAnswer => {
  const { inputs } = JSON.parse(request.body.toString()) as { inputs: string[] };
  return { headers: { 'x-compute-tokens': String(inputs.length), ...headers }, body: JSON.stringify(inputs.map((text) => [Number(text), 0.5])) };
};

beforeEach(() => {
  server.requests.length = 0;
  answer = embed;
});

async function ask(input: unknown, settings: Record<string, string> = {}, body: object = {}): Promise<{ reply: JsonReply; data: any[] }> {
  const adapter = huggingFace.create(makeRoute({ endpoint: `${server.url}/tei/`, ...settings }));
  const reply = (await adapter.invoke(makeCall(transport, { model: 'my-alias', input, ...body }))) as JsonReply;
  return { reply, data: JSON.parse(reply.body.toString()).data };
}

describe('embeddings of a TEI endpoint', () => {
  it('split large inputs, keep their order and sum the usage', async () => {
    const input = Array.from({ length: 70 }, (_, i) => String(i));
    const { reply, data } = await ask(input);
    expect(data.map((item) => item.embedding[0])).toEqual(input.map(Number));
    expect(data.map((item) => item.index)).toEqual(input.map(Number));
    expect(server.requests.map(({ url, body }) => [url, JSON.parse(body.toString()).inputs.length]).sort()).toEqual([
      ['/tei/embed', 32],
      ['/tei/embed', 32],
      ['/tei/embed', 6],
    ]);
    expect(reply.meters).toEqual({ inputTokens: 70, outputTokens: 0 });
  });

  it('send the options of the route, and the dimensions asked for', async () => {
    await ask('1', { hf_normalize: 'false', hf_truncate: 'true', hf_max_batch: '1' }, { dimensions: 2 });
    expect(JSON.parse(server.last.body.toString())).toEqual({ inputs: ['1'], normalize: false, truncate: true, dimensions: 2 });
  });

  it('leave the usage open when one of the batches was not counted, and tell the estimate', async () => {
    answer = (request) => (JSON.parse(request.body.toString()).inputs.length === 32 ? embed(request) : { body: '[[0,0]]' });
    const { reply } = await ask(Array.from({ length: 33 }, () => '0'));
    expect(reply.meters).toBeUndefined();
    expect(JSON.parse(reply.body.toString()).usage).toEqual({ prompt_tokens: 17, total_tokens: 17 });
  });

  it.each([
    ['one vector per token', '[[[1,2],[3,4]]]'],
    ['a flat vector', '[1,2]'],
    ['too few vectors', '[]'],
    ['an empty vector', '[[]]'],
    ['no numbers', '[[null]]'],
    ['an object', '{"embeddings":[[1]]}'],
    ['no JSON', 'busy'],
  ])('are malformed with %s', async (_name, body) => {
    answer = () => ({ body });
    await expect(ask('1')).rejects.toMatchObject({ kind: 'malformed' });
  });

  it('stop asking once a batch failed', async () => {
    answer = () => ({ status: 429, body: '{"error":"Model is overloaded","error_type":"Overloaded"}' });
    await expect(ask(Array.from({ length: 1000 }, () => '0'))).rejects.toMatchObject({ kind: 'rate_limited' });
    expect(server.requests.length).toBeLessThanOrEqual(4);
  });

  it('are probed at /health', async () => {
    answer = () => ({ body: '' });
    await huggingFace.create(makeRoute({ endpoint: server.url })).probe!({ transport, signal: new AbortController().signal, timeoutMs: 30_000 });
    expect(server.last.url).toBe('/health');
  });
});

describe('the inference router', () => {
  it('cannot shorten vectors: dimensions are refused before any call', async () => {
    const call = ask('1', { endpoint: '', hf_base_url: server.url }, { dimensions: 2 });
    await expect(call).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'dimensions' });
    expect(server.requests).toEqual([]);
  });

  it('keeps a model name inside its place in the path', async () => {
    const adapter = huggingFace.create(makeRoute({ hf_base_url: server.url }, { providerModel: 'org/na me?x#y' }));
    await adapter.invoke(makeCall(transport, { model: 'my-alias', input: '1' }));
    expect(server.last.url).toBe('/models/org/na%20me%3Fx%23y/pipeline/feature-extraction');
  });
});
