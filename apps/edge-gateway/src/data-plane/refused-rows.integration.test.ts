import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { UsageEvent } from '@omg/contracts';
import { budgetWindow } from '@omg/domain';
import { connectNats, subscribeToUsage } from '@omg/storage';
import { addCleanup, cleanUp, startFakeUpstream, startRedis, waitFor, type FakeUpstream, type RunningService } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';
import { openLedger } from '../testing/open-ledger.js';

/** Refused requests as the recorder hears of them: what became of each request that named a model can be asked later. */

let harness: EdgeHarness;
let upstream: FakeUpstream;
let redis: RunningService;
const told: UsageEvent[] = [];

beforeAll(async () => {
  redis = await startRedis();
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, JSON.stringify(chatAnswer())));
  harness = await startEdge({ config: { ROUTER_REDIS_URL: redis.url, ROUTER_EDGE_REDIS_TIMEOUT: '2s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('broken', [chatRoute('', { provider: 'no-such-provider' })]);
  const nats = connectNats({ url: harness.nats.url }, { name: 'refused-rows-test' });
  addCleanup(() => nats.close());
  await subscribeToUsage(await nats.connected(), ({ payload }) => {
    told.push(...(JSON.parse(Buffer.from(payload).toString('utf8')) as { events: UsageEvent[] }).events);
  });
});

afterAll(cleanUp);

/** The event of the request with this id. */
const eventOf = (response: Response): Promise<UsageEvent> =>
  waitFor(() => told.find(({ requestId }) => requestId === response.headers.get('x-request-id')), { what: 'the refusal on the bus' });

const NOTHING = { usageSource: 'none', costNano: '0', meters: { inputTokens: 0, outputTokens: 0 } };

describe('a refused request is told with who refused it, and without usage', () => {
  it('by a rate limit', async () => {
    await harness.putKey({ id: randomUUID(), limits: { requestsPerMinute: 1 } });
    const refused = await waitFor(async () => [await harness.chat()].find(({ status }) => status === 429), { what: 'the limit' });
    expect(await eventOf(refused)).toMatchObject({ status: 429, errorCode: 'rate_limit_exceeded', provider: 'limiter', modelAlias: 'chat', ...NOTHING });
  });

  it('by its budget', async () => {
    const keyId = randomUUID();
    const { ledger } = openLedger(redis.url);
    const { id: windowId, endMs: windowEndMs } = budgetWindow('calendar_month', 'UTC', Date.now());
    await ledger.seed(harness.tenantId, [
      { scope: 'tenant', windowId, windowEndMs, spentNano: 0n, version: 1n },
      { scope: 'key', keyId, windowId, windowEndMs, spentNano: 1_000n, version: 1n },
    ]);
    await harness.putKey({ id: keyId, quota: { limitNano: '1000' } });
    const refused = await waitFor(async () => [await harness.chat()].find(({ status }) => status === 403), { what: 'the quota' });
    expect(await eventOf(refused)).toMatchObject({ status: 403, errorCode: 'budget_exceeded', provider: 'budget', apiKeyId: keyId, ...NOTHING });
    await harness.putKey({ id: randomUUID() });
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'another key' });
  });

  it('for want of a route', async () => {
    const refused = await harness.chat({ model: 'broken' });
    expect(await eventOf(refused)).toMatchObject({ status: 503, errorCode: 'no_backend_available', provider: 'router', modelAlias: 'broken', ...NOTHING });
  });

  it('since its idempotency key cannot be looked up', async () => {
    redis.pause();
    const refused = await harness.chat({}, { 'idempotency-key': randomUUID() });
    redis.resume();
    expect(refused.status).toBe(503);
    expect(await eventOf(refused)).toMatchObject({ status: 503, errorCode: 'limiter_unavailable', provider: 'limiter', ...NOTHING });
  });
});

it('a request that was refused before its model was known is not told', async () => {
  const answers = [await harness.chat({ model: 'nope' }), await harness.chat({ messages: [] })];
  expect(answers.map(({ status }) => status)).toEqual([404, 400]);
  await eventOf(await waitFor(async () => [await harness.chat()].find(({ status }) => status === 200), { what: 'Redis to be back' }));
  expect(told.filter(({ requestId }) => answers.some(({ headers }) => headers.get('x-request-id') === requestId))).toEqual([]);
});
