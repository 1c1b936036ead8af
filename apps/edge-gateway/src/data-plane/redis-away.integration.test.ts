import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { budgetWindow } from '@omg/domain';
import type { RedisLedgerStore } from '@omg/storage';
import { cleanUp, startFakeUpstream, startRedis, waitFor, type FakeUpstream, type RunningService } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';
import { openLedger } from '../testing/open-ledger.js';

/** One edge whose Redis hangs: its own part of each limit, a small allowance of each budget, then 503. */

let harness: EdgeHarness;
let upstream: FakeUpstream;
let redis: RunningService;
let ledger: RedisLedgerStore;

/** 100 x 500 + 200 x 1500 nano-USD. */
const COST_NANO = 350_000n;
const USAGE = { prompt_tokens: 100, completion_tokens: 200 };

beforeAll(async () => {
  redis = await startRedis();
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, JSON.stringify(chatAnswer(USAGE))));
  harness = await startEdge({ config: { ROUTER_REDIS_URL: redis.url, ROUTER_EDGE_REDIS_TIMEOUT: '1s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  ({ ledger } = openLedger(redis.url));
});

afterEach(async () => {
  redis.resume();
  await waitFor(async () => (await harness.chat({ model: 'nope' })).headers.get('x-budget-limit-usd') !== null, { what: 'Redis to be back' });
});

afterAll(cleanUp);

const calls = async (count: number): Promise<Response[]> => {
  const answers: Response[] = [];
  for (let i = 0; i < count; i++) answers.push(await harness.chat({ max_tokens: 200 }));
  return answers;
};

/** A key of its own, known to the edge, whose budget has been seen by it. */
async function seenKey(change: { quota?: { limitNano: string }; limits?: object }): Promise<void> {
  const keyId = randomUUID();
  const { id: windowId, endMs: windowEndMs } = budgetWindow('calendar_month', 'UTC', Date.now());
  await ledger.seed(harness.tenantId, [
    { scope: 'tenant', windowId, windowEndMs, spentNano: 0n, version: 1n },
    { scope: 'key', keyId, windowId, windowEndMs, spentNano: 0n, version: 1n },
  ]);
  await harness.putKey({ id: keyId, ...change });
  await waitFor(
    async () => {
      const { status, headers } = await harness.chat({ max_tokens: 1 });
      const limit = change.quota ? headers.get('x-budget-limit-usd') === String(Number(change.quota.limitNano) / 1e9) : true;
      return status === 200 && limit && (!change.limits || headers.get('x-ratelimit-limit-requests') === '20');
    },
    { what: 'the key' },
  );
}

describe('while Redis does not answer', () => {
  it('a budget lends a tenth of what was last seen to remain, and is 503 budget_store_unavailable after that, without a provider call', async () => {
    await seenKey({ quota: { limitNano: String(50n * COST_NANO) } });
    redis.pause();
    const answers = await calls(12);
    const statuses = answers.map(({ status }) => status);
    const served = statuses.filter((status) => status === 200).length;
    // A tenth of 50 calls, less what the calls before it had cost.
    expect(served).toBeGreaterThanOrEqual(3);
    expect(served).toBeLessThanOrEqual(5);
    expect(statuses.slice(served)).toEqual(Array.from({ length: 12 - served }, () => 503));
    const refused = answers.at(-1)!;
    expect(await refused.json()).toMatchObject({ error: { code: 'budget_store_unavailable' } });
    expect(refused.headers.get('retry-after')).toBe('1');
    const before = upstream.requests.length;
    await calls(1);
    expect(upstream.requests).toHaveLength(before);
  });

  it('a budget that this edge has never seen lends nothing', async () => {
    await harness.putKey({ id: randomUUID(), quota: { limitNano: String(7n * COST_NANO) } });
    await waitFor(async () => (await harness.chat({ model: 'nope' })).headers.get('x-budget-limit-usd') === '0.00245', { what: 'the key' });
    redis.pause();
    const [refused] = await calls(1);
    expect([refused!.status, ((await refused!.json()) as { error: { code: string } }).error.code]).toEqual([503, 'budget_store_unavailable']);
  });

  it('half of a limit is granted by each edge, and the rest is refused as ever', async () => {
    await seenKey({ limits: { requestsPerMinute: 20 } });
    redis.pause();
    const answers = await calls(14);
    expect(answers[0]!.headers.get('x-ratelimit-limit-requests')).toBe('10');
    // All of them, less what it had granted before where Redis was slow for once.
    const granted = Number(answers[0]!.headers.get('x-ratelimit-remaining-requests')) + 1;
    expect(granted).toBeGreaterThan(0);
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_, index) => (index < granted ? 200 : 429)));
    expect(Number(answers.at(-1)!.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});
