import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { configKey } from '@omg/contracts';
import { hashApiKeySecret } from '@omg/domain';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

/** What belongs to one key, one tenant or one endpoint, and must not be shared or split any further. */

let harness: EdgeHarness;
let upstream: FakeUpstream;

const USAGE = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
const ANSWER = JSON.stringify(chatAnswer(USAGE));
const VECTOR = JSON.stringify({
  object: 'list',
  model: 'm',
  data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
  usage: { prompt_tokens: 1, total_tokens: 1 },
});
const CHUNKS =
  'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n';

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge();
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('second', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('embed', [chatRoute(`${upstream.origin}/v1`, { modelType: 'embedding', modalities: ['embeddings'] })]);
});

beforeEach(() => upstream.script((exchange) => exchange.respond(200, exchange.request.path.includes('embeddings') ? VECTOR : ANSWER)));
afterAll(cleanUp);

/** Another key of the same tenant, with its `Authorization`. */
async function otherKey(change: object = {}): Promise<{ authorization: string }> {
  const { authorization } = await putOtherKey(change);
  const answers = async (): Promise<boolean> => (await fetch(`${harness.edge.url}/v1/models`, { headers: { authorization } })).ok;
  await waitFor(answers, { what: 'the new key' });
  return { authorization };
}

async function putOtherKey(change: object): Promise<{ authorization: string }> {
  const prefix = `o${randomUUID().slice(0, 8)}`;
  const digest = hashApiKeySecret('development-only-api-key-pepper-0123456789', 's').toString('base64');
  await harness.put(configKey.key(prefix), {
    v: 1,
    id: randomUUID(),
    tenantId: harness.tenantId,
    prefix,
    digests: [{ digest }],
    revoked: false,
    scopes: [],
    ...change,
  });
  return { authorization: `Bearer sk-${prefix}.s` };
}

describe('an idempotency key', () => {
  it('belongs to the API key and the endpoint that it was used with: nobody else gets the answer', async () => {
    const key = { 'idempotency-key': randomUUID() };
    expect((await harness.chat({}, key)).status).toBe(200);
    const other = await harness.chat({}, { ...key, ...(await otherKey()) });
    expect([other.status, other.headers.get('idempotency-replayed')]).toEqual([200, null]);
    const elsewhere = await harness.post('/v1/embeddings', { model: 'embed', input: 'a' }, key);
    expect([elsewhere.status, elsewhere.headers.get('idempotency-replayed')]).toEqual([200, null]);
    expect((await harness.chat({}, key)).headers.get('idempotency-replayed')).toBe('true');
  });

  it('is ignored on streams, whatever it holds: each one runs', async () => {
    upstream.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(`${CHUNKS}data: [DONE]\n\n`);
      await exchange.endChunks();
    });
    const calls = upstream.requests.length;
    for (const value of ['again', 'again', 'x'.repeat(300)]) {
      const response = await harness.chat({ stream: true }, { 'idempotency-key': value });
      expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([200, null]);
      await response.text();
    }
    expect(upstream.requests.length - calls).toBe(3);
  });

  it('may be spelled in another order of fields, since the body counts and not its bytes', async () => {
    const key = { 'idempotency-key': randomUUID() };
    await harness.post('/v1/embeddings', '{"model":"embed","input":"a"}', key);
    const again = await harness.post('/v1/embeddings', ' {"input": "a", "model": "embed"}', key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });
});

describe('the limit of a key', () => {
  it('counts its calls of all models and endpoints together', async () => {
    const key = await otherKey({ limits: { requestsPerMinute: 3 } });
    const statuses = [
      (await harness.chat({}, key)).status,
      (await harness.chat({ model: 'second' }, key)).status,
      (await harness.post('/v1/embeddings', { model: 'embed', input: 'a' }, key)).status,
      (await harness.chat({ model: 'second' }, key)).status,
    ];
    expect(statuses).toEqual([200, 200, 200, 429]);
    expect((await harness.chat()).status).toBe(200);
  });

  it('is passed by a stream without harm to it: the stream ends well and counts, and the next call is refused', async () => {
    const key = await otherKey({ limits: { tokensPerMinute: 15 } });
    upstream.once((exchange) => exchange.respondEvents([JSON.parse(CHUNKS.slice('data: '.length)) as object, { id: 'c', choices: [], usage: USAGE }]));
    const streamed = await harness.chat({ stream: true, max_tokens: 1 }, key);
    expect(await streamed.text()).toMatch(/"Hi".*\n\ndata: \[DONE\]\n\n$/s);
    const refused = await harness.chat({ max_tokens: 1 }, key);
    expect([refused.status, refused.headers.get('x-ratelimit-remaining-tokens')]).toEqual([429, '0']);
  });
});

describe('the quota of a key', () => {
  it('counts what that key has spent, however much its tenant has', async () => {
    const spender = await otherKey();
    // 0.00002 USD each.
    for (let i = 0; i < 4; i++) expect((await harness.chat({}, spender)).status).toBe(200);
    const key = await otherKey({ quota: { limitNano: '30000' } });
    const response = await harness.chat({}, key);
    expect(['limit', 'total', 'remaining'].map((name) => response.headers.get(`x-budget-${name}-usd`))).toEqual(['0.00003', '0.00002', '0.00001']);
    expect(response.status).toBe(200);
  });
});

describe('a warning', () => {
  // One call costs 10 tokens of input at 0.0005 and 10 of output at 0.0015 USD per 1,000: 0.00002 USD.
  it.each([
    [0.1, true],
    [0.3, false],
    [1, false],
  ])('comes at the threshold as it is configured, below one half too: %d', async (warningThreshold, warned) => {
    const key = await otherKey({ quota: { limitNano: '100000', warningThreshold } });
    const response = await harness.chat({}, key);
    expect([response.headers.get('x-budget-total-usd'), response.headers.get('x-budget-warning'), response.headers.get('x-budget-exceeded')]).toEqual([
      '0.00002',
      warned ? 'true' : null,
      null,
    ]);
  });

  it('gives way to the word that the budget is exceeded, at exactly the limit', async () => {
    const key = await otherKey({ quota: { limitNano: '20000', warningThreshold: 0.5 } });
    const response = await harness.chat({}, key);
    expect([response.headers.get('x-budget-remaining-usd'), response.headers.get('x-budget-warning'), response.headers.get('x-budget-exceeded')]).toEqual([
      '0',
      null,
      'true',
    ]);
  });
});

describe('a client that leaves before its answer', () => {
  it('ends the provider call at once', async () => {
    let cancelled: Promise<void> | undefined;
    upstream.once((exchange) => void (cancelled = exchange.waitForClose()));
    const leaving = new AbortController();
    const calls = upstream.requests.length;
    const response = harness.chat({}, {}, leaving.signal);
    await waitFor(() => upstream.requests.length > calls, { what: 'the call upstream' });
    leaving.abort();
    await expect(response).rejects.toThrow();
    await cancelled;
  });
});

describe('an unknown, a revoked and a wrong key', () => {
  it('get one answer, so that nobody learns which keys exist', async () => {
    const { authorization: revoked } = await putOtherKey({ revoked: true });
    const texts = await Promise.all(
      [
        'Bearer sk-nobody.s',
        revoked,
        `${revoked}x`,
        harness.authorization.replace(/\..*$/, '.wrong'),
        'Bearer nonsense',
        'Basic abc',
        'Bearer sk-.s',
        'Bearer sk-x.',
      ].map(async (authorization) => {
        const response = await fetch(`${harness.edge.url}/v1/models`, { headers: { authorization } });
        return `${response.status} ${await response.text()}`;
      }),
    );
    expect(new Set(texts).size).toBe(1);
  });
});
