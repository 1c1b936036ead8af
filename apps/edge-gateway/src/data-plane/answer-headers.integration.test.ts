import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

const LIMITS = { requestsPerMinute: 900, tokensPerMinute: 90_000, parallelRequests: 10 };
const CHUNKS =
  'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

beforeAll(async () => {
  upstream = await startFakeUpstream(async (exchange) => {
    const { stream } = JSON.parse(exchange.request.body.toString()) as { stream?: boolean };
    if (!stream) return exchange.respond(200, JSON.stringify(chatAnswer()));
    await exchange.startEventStream();
    await exchange.chunk(CHUNKS);
    await exchange.endChunks();
  });
  const failing = await startFakeUpstream((exchange) => exchange.respond(500, '{"error":{"message":"x","type":"server_error"}}'));
  harness = await startEdge({ config: { ROUTER_SERVER_BODY_LIMIT_MB: '1', ROUTER_HEALTH_FAILURE_THRESHOLD: '1', ROUTER_HEALTH_COOLDOWN: '1h' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('private', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('embed', [chatRoute(`${upstream.origin}/v1`, { modelType: 'embedding', modalities: ['embeddings'] })]);
  await harness.putModel('failing', [chatRoute(`${failing.origin}/v1`)]);
  await harness.putModel('open', [chatRoute(`${failing.origin}/v1`)]);
  await harness.putTenant({ models: ['chat', 'embed', 'failing', 'open'] });
  await useKey({});
  await harness.chat({ model: 'open' });
});

afterAll(cleanUp);

async function useKey(limits: object): Promise<void> {
  await harness.putKey({ id: randomUUID(), limits: { ...LIMITS, ...limits } });
  const inForce = async (): Promise<boolean> => {
    const { status, headers } = await harness.chat({ model: 'private' });
    return status === 403 && headers.get('x-ratelimit-limit-requests') === String({ ...LIMITS, ...limits }.requestsPerMinute);
  };
  await waitFor(inForce, { what: 'the allowlist and the limits' });
}

const get = (path: string, method = 'GET') => fetch(harness.edge.url + path, { method, headers: { authorization: harness.authorization } });
const plain = 'model=chat';
const twice = async (second: object) => {
  const key = { 'idempotency-key': randomUUID() };
  await harness.chat({}, key);
  return harness.chat(second, key);
};
const whileRunning = async () => {
  const key = { 'idempotency-key': randomUUID() };
  let answer: () => Promise<void> = () => Promise.resolve();
  upstream.once((exchange) => void (answer = () => exchange.respond(200, JSON.stringify(chatAnswer()))));
  const calls = upstream.requests.length;
  const first = harness.chat({}, key);
  await waitFor(() => upstream.requests.length > calls, { what: 'the first call' });
  const second = await harness.chat({}, key);
  await answer();
  await first;
  return second;
};

describe('every answer to a caller whose key is good tells its limits and its budget', () => {
  it.each<[number, string, () => Promise<Response>]>([
    [200, 'an answer', () => harness.chat()],
    [200, 'a stream', () => harness.chat({ stream: true })],
    [200, 'a replay', () => twice({})],
    [200, 'the list of models', () => get('/v1/models')],
    [200, 'one model', () => get('/v1/models/chat')],
    [400, 'no JSON', () => harness.post('/v1/chat/completions', '{')],
    [400, 'a field at fault', () => harness.chat({ temperature: 'warm' })],
    [400, 'an operation that the model does not have', () => harness.chat({ model: 'embed' })],
    [403, 'a model that is not allowed', () => harness.chat({ model: 'private' })],
    [404, 'a model that is not listed', () => get('/v1/models/nobody')],
    [404, 'an unknown URL', () => get('/v1/unknown')],
    [405, 'a wrong method', () => get('/v1/chat/completions')],
    [409, 'an idempotency key whose first call runs', whileRunning],
    [413, 'too large a body', () => harness.chat({ user: 'x'.repeat(1024 * 1024) })],
    [415, 'another content type', () => harness.post('/v1/chat/completions', plain, { 'content-type': 'text/plain' })],
    [422, 'an idempotency key of another body', () => twice({ temperature: 1 })],
    [502, 'a provider that fails', () => harness.chat({ model: 'failing' })],
    [503, 'a model without a healthy route', () => harness.chat({ model: 'open' })],
  ])('%d: %s', async (status, _what, ask) => {
    const response = await ask();
    await response.text();
    expect(response.status).toBe(status);
    const shown = Object.fromEntries(response.headers);
    expect(shown).toMatchObject({
      'x-ratelimit-limit-requests': '900',
      'x-ratelimit-remaining-requests': expect.stringMatching(/^\d+$/),
      'x-ratelimit-reset-requests': expect.stringMatching(/^[\dms]+$/),
      'x-ratelimit-limit-tokens': '90000',
      'x-ratelimit-remaining-tokens': expect.stringMatching(/^\d+$/),
      'x-ratelimit-reset-tokens': expect.stringMatching(/^[\dms]+$/),
      'x-budget-limit-cents': '100000',
      'x-budget-total-cents': expect.stringMatching(/^\d+$/),
      'x-budget-remaining-cents': expect.stringMatching(/^\d+$/),
    });
    expect(shown['retry-after'] !== undefined).toBe([409, 503].includes(status));
  });

  it('429 too, and reading costs nothing: what is left is the same after any number of such answers', async () => {
    await useKey({ requestsPerMinute: 1 });
    expect((await harness.chat()).headers.get('x-ratelimit-remaining-requests')).toBe('0');
    const refused = await harness.chat();
    expect([refused.status, refused.headers.get('x-ratelimit-limit-requests'), refused.headers.get('x-budget-limit-cents')]).toEqual([429, '1', '100000']);
    const [before, , after] = [await get('/v1/models'), await get('/v1/unknown'), await get('/v1/models')];
    for (const name of ['x-ratelimit-remaining-tokens', 'x-budget-total-usd']) expect(after.headers.get(name)).toBe(before.headers.get(name));
  });

  it('but nothing to one whose key is not: an unknown URL is 404 all the same', async () => {
    const response = await fetch(`${harness.edge.url}/v1/unknown`, { headers: { authorization: `${harness.authorization}x` } });
    expect([response.status, response.headers.get('x-budget-limit-cents'), response.headers.get('x-ratelimit-limit-requests')]).toEqual([404, null, null]);
  });
});
