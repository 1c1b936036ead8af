import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisClient, RedisLedgerStore } from '@omg/storage';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream, type UpstreamExchange } from '@omg/testkit';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';
import { openLedger } from '../testing/open-ledger.js';

/**
 * However a call ends, its lease and its hold end with it: what stays in Redis is one ended attempt with its cost, or nothing where
 * no provider was called.
 */

let harness: EdgeHarness;
let upstream: FakeUpstream;
let second: FakeUpstream;
let redis: RedisClient;
let ledger: RedisLedgerStore;

const ANSWER = JSON.stringify(chatAnswer({ prompt_tokens: 100, completion_tokens: 200 }));
/** 100 x 500 + 200 x 1500 nano-USD. */
const COST_NANO = 350_000n;
const FAILURE = '{"error":{"message":"x","type":"server_error","param":null,"code":null}}';
const CHUNK =
  'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n';

beforeAll(async () => {
  upstream = await startFakeUpstream();
  second = await startFakeUpstream((exchange) => exchange.respond(200, ANSWER));
  harness = await startEdge({
    config: {
      ROUTER_SERVER_SYNC_TIMEOUT: '6s',
      ROUTER_SERVER_PROVIDER_TIMEOUT: '3s',
      ROUTER_SERVER_STREAM_IDLE_TIMEOUT: '3s',
      ROUTER_SERVER_STREAM_MAX_DURATION: '4s',
      ROUTER_HEALTH_FAILURE_THRESHOLD: '100',
      ROUTER_EDGE_RETRY_BUDGET_RATIO: '1',
    },
  });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('two', [chatRoute(`${upstream.origin}/v1`, { weight: 1_000_000 }), chatRoute(`${second.origin}/v1`, { weight: 1 })]);
  await harness.putModel('broken', [chatRoute('', { provider: 'no-such-provider' })]);
  ({ redis, ledger } = openLedger(harness.redisUrl));
});

afterAll(cleanUp);

beforeEach(async () => void (await redis.flushdb()));

const answer = (exchange: UpstreamExchange) => exchange.respond(200, ANSWER);
const fail = (status: number) => (exchange: UpstreamExchange) => exchange.respond(status, FAILURE);
const silence = (): void => undefined;
/** Chunks until the gateway ends the call. */
const endless = async (exchange: UpstreamExchange): Promise<void> => {
  await exchange.startEventStream();
  const more = setInterval(() => void exchange.chunk(CHUNK), 50);
  await waitFor(() => exchange.aborted, { what: 'the gateway to end the call' }).finally(() => clearInterval(more));
};
const oneChunkThen = (then: (exchange: UpstreamExchange) => void) => async (exchange: UpstreamExchange) => {
  await exchange.startEventStream();
  await exchange.chunk(CHUNK);
  then(exchange);
};
const whole = async (exchange: UpstreamExchange): Promise<void> => {
  await exchange.startEventStream();
  await exchange.chunk(`${CHUNK}${CHUNK.replace('"delta":{"content":"word"},"finish_reason":null', '"delta":{},"finish_reason":"stop"')}data: [DONE]\n\n`);
  await exchange.endChunks();
};

/** Leaves once the provider has the call, or once the first byte of its answer is there. */
async function leave(body: object, when: 'sent' | 'first byte'): Promise<void> {
  const leaving = new AbortController();
  const calls = upstream.requests.length;
  const left = fetch(`${harness.edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: harness.authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }], ...body }),
    signal: leaving.signal,
  });
  if (when === 'sent') await waitFor(() => upstream.requests.length > calls, { what: 'the call to reach the provider' });
  else await (await left).body!.getReader().read();
  leaving.abort();
  await left.catch(() => undefined);
}

const read = async (body: object = {}): Promise<void> => void (await (await harness.chat(body)).text());

describe('lease and hold of a call end', () => {
  it.each<[string, (exchange: UpstreamExchange) => unknown, () => Promise<void>, 'whole' | 'free' | 'part']>([
    ['with its answer', answer, () => read(), 'whole'],
    ['with its stream', whole, () => read({ stream: true }), 'part'],
    ['with the answer of another route', fail(500), () => read({ model: 'two' }), 'whole'],
    ['with the last failure of its providers', fail(500), () => read(), 'free'],
    ["with the provider's refusal", fail(400), () => read(), 'free'],
    ["with the provider's rate limit", fail(429), () => read(), 'free'],
    ['with an answer that is none', (exchange) => exchange.respond(200, '<html>'), () => read(), 'free'],
    ['with the time limit of an attempt', silence, () => read(), 'free'],
    ['with the time limit of the whole request', silence, () => read({ model: 'two' }), 'whole'],
    ['when the client leaves before an answer', silence, () => leave({}, 'sent'), 'part'],
    ['when the client leaves a stream', endless, () => leave({ stream: true }, 'first byte'), 'part'],
    ['with the time limit of a stream', endless, () => read({ stream: true }), 'part'],
    ['with a stream that falls silent', oneChunkThen(silence), () => read({ stream: true }), 'part'],
    ['with a stream that breaks off', oneChunkThen((exchange) => exchange.close()), () => read({ stream: true }), 'part'],
  ])('%s', async (_how, provider, act, cost) => {
    upstream.script(provider as (exchange: UpstreamExchange) => void);
    await act();
    const { budgets } = await waitFor(
      async () => {
        const state = await ledger.inspect(harness.tenantId);
        return state.open === 0 && state.ended === 1 ? state : undefined;
      },
      { what: 'one ended attempt and no open one' },
    );
    const owed = budgets[0]!.openNano;
    if (cost === 'whole') expect(owed).toBe(COST_NANO);
    if (cost === 'free') expect(owed).toBe(0n);
    if (cost === 'part') {
      expect(owed).toBeGreaterThan(0n);
      expect(owed).toBeLessThan(COST_NANO);
    }
  });

  it.each([
    ['since no route of its model can be used', () => harness.chat({ model: 'broken' }), 503],
    ['since its budget or limits refuse it', async () => (await harness.putKey({ limits: { tokensPerMinute: 1 } }), refusedForTokens()), 429],
  ])('and leave nothing behind where no provider was called, %s', async (_why, act, status) => {
    upstream.script(answer);
    const response = await act();
    expect(response.status).toBe(status);
    await redis.flushdb();
    await act();
    expect(await ledger.inspect(harness.tenantId)).toMatchObject({ open: 0 });
    await harness.putKey();
  });
});

/** A first call fills the window; the next one is refused. */
function refusedForTokens(): Promise<Response> {
  return waitFor(async () => [await harness.chat()].find(({ status }) => status === 429), { what: 'the limit' });
}
