import { randomUUID } from 'node:crypto';
import type { AttemptRecord, DeadLetter, UsageEvent } from '@omg/contracts';
import { RedisAdmissionStore, RedisLedgerStore } from '@omg/storage';
import { cleanUp, waitFor } from '@omg/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Bookkeeper } from '../ingest/bookkeeper.js';
import { UsageLedger } from '../persist/commit-usage.js';
import { openSurroundings, type Surroundings } from '../testing.fixture.js';
import { attemptId, usageEvent } from '../usage-event.fixture.js';
import { reap, type ReaperParts } from './reaper.js';

const LEASE_MS = 60_000;
const GRACE_MS = 30_000;
const WINDOW = 'calendar_month:2026-11-01';

let s: Surroundings;
/** Redis's clock, in the hands of the test. */
let nowMs = Date.now();
let admission: RedisAdmissionStore;
let store: RedisLedgerStore;
let letters: DeadLetter[];

beforeAll(async () => {
  s = await openSurroundings();
  const options = { commandTimeoutMs: 30_000, nowMs: () => nowMs };
  admission = new RedisAdmissionStore(s.redis, options);
  store = new RedisLedgerStore(s.redis, options);
});

beforeEach(async () => {
  // What the tests before left open would expire in this one some time.
  await s.redis.flushdb();
  nowMs = Date.now();
  letters = [];
});

afterAll(cleanUp);

function parts(): ReaperParts {
  const ledger = new UsageLedger(s.database, {
    timezone: 'UTC',
    keepRequests: true,
    defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1_000_000_000n, warningThreshold: 0.8 }),
  });
  const bookkeeper = new Bookkeeper(
    { ledger, store, evaluations: { addLatest: () => Promise.resolve() }, observer: { committed: () => undefined, waiting: () => undefined } },
    { groupEventsMax: 1_000, groupEventsMin: 1, groupsMax: 2, usageKeptMs: () => Infinity, nowMs: Date.now, signal: new AbortController().signal },
  );
  const deadLetter = (_id: string, letter: DeadLetter) => Promise.resolve(void letters.push(letter));
  return { store, bookkeeper, deadLetter, metrics: s.metrics, log: s.log };
}

const failed = new Set<string>();
const run = () => reap(parts(), { graceMs: GRACE_MS, backlogGraceMs: 600_000, backlogMs: () => 0, nowMs: () => nowMs, failed });

interface Who {
  tenantId: string;
  keyId: string;
  id: string;
}

const newcomer = (): Who => ({ tenantId: randomUUID(), keyId: randomUUID(), id: attemptId(nowMs) });
const budgets = { tenant: { windowId: WINDOW, windowEndMs: Date.UTC(2026, 11, 1), limitNano: 1_000_000_000n } };

async function admit({ tenantId, keyId, id }: Who, attempt?: string): Promise<void> {
  const limits = { requestsPerMinute: 1_000, tokensPerMinute: 1_000_000, parallelRequests: 100 };
  const record: AttemptRecord = {
    v: 1,
    requestId: `request-${id}`,
    operation: 'chat',
    modelAlias: 'assistant',
    stream: true,
    inputTokensEstimate: 100,
    estimatedTokens: 300,
    priceVersionId: 'price-1',
    provider: 'demo',
    schedule: 'calendar_month',
    windowId: WINDOW,
    hasKeyBudget: false,
  };
  const result = await admission.admit({
    attemptId: id,
    tenantId,
    keyId,
    limits: { key: limits, tenant: limits },
    estimatedTokens: 300,
    holdNano: 4_000n,
    holdMinNano: 1n,
    budgets,
    unseededAllowanceNano: 1_000_000n,
    leaseMs: LEASE_MS,
    attempt: attempt ?? JSON.stringify(record),
  });
  expect(result.admitted).toBe(true);
}

const endOf = ({ tenantId, keyId, id }: Who): UsageEvent =>
  usageEvent({ id, tenantId, apiKeyId: keyId, windows: { schedule: 'calendar_month', tenant: WINDOW } });

const settle = (who: Who) =>
  admission.settle({ attemptId: who.id, tenantId: who.tenantId, keyId: who.keyId, tokens: 15, costNano: 1_500n, event: JSON.stringify(endOf(who)), budgets });

async function rowOf(id: string) {
  const { rows } = await s.pool.query<Record<string, unknown>>(
    'SELECT u.cost_nano, u.usage_source, u.input_tokens, u.output_tokens, r.status, r.error_code FROM usage_records u JOIN requests r USING (id, ts) WHERE id = $1',
    [id],
  );
  return rows;
}

describe('an attempt whose edge vanished', () => {
  it('is booked once, with what it held, as an estimate with status 499, after lease and grace', async () => {
    const who = newcomer();
    await admit(who);
    nowMs += LEASE_MS + GRACE_MS - 1_000;
    expect(await run()).toEqual({ expired: 0, ended: 0 });
    nowMs += 2_000;
    expect(await run()).toEqual({ expired: 1, ended: 0 });
    expect(await run()).toEqual({ expired: 0, ended: 0 });
    expect(await rowOf(who.id)).toEqual([
      { cost_nano: '4000', usage_source: 'estimate', input_tokens: 100, output_tokens: 200, status: 499, error_code: 'attempt_lost' },
    ]);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ spentNano: 4_000n, openNano: 0n }] });
  });

  it('is left alone while its lease is renewed', async () => {
    const who = newcomer();
    await admit(who);
    nowMs += LEASE_MS - 1_000;
    expect(await admission.renew(who.tenantId, who.keyId, who.id, LEASE_MS)).toBe(true);
    nowMs += GRACE_MS + 2_000;
    expect(await run()).toEqual({ expired: 0, ended: 0 });
  });

  it('but settles after all is booked once, whoever comes first', async () => {
    const [late, early] = [newcomer(), newcomer()];
    await admit(late);
    await admit(early);
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    await Promise.all([run(), settle(early)]);
    await settle(late);
    nowMs += GRACE_MS + 1_000;
    await run();
    for (const who of [late, early]) {
      expect(await rowOf(who.id)).toHaveLength(1);
      const { budgets: held, open, ended } = await store.inspect(who.tenantId);
      const [row] = await rowOf(who.id);
      expect({ open, ended, openNano: held[0]!.openNano, spent: held[0]!.spentNano }).toEqual({
        open: 0,
        ended: 0,
        openNano: 0n,
        spent: BigInt(row!['cost_nano'] as string),
      });
    }
  });
});

describe('an attempt that was booked by estimate and ends after all', () => {
  it('is booked exactly, in Postgres and in Redis, once however often its event comes', async () => {
    const who = newcomer();
    await admit(who);
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    expect(await run()).toEqual({ expired: 1, ended: 0 });
    expect(await store.inspect(who.tenantId)).toMatchObject({ budgets: [{ spentNano: 4_000n, openNano: 0n }] });
    // What an edge does that could not reach Redis for so long: it settles what is not there any more, and tells the bus.
    await settle(who);
    for (let delivery = 0; delivery < 3; delivery++) await parts().bookkeeper.book([{ event: endOf(who) }]);
    expect(await rowOf(who.id)).toEqual([{ cost_nano: '1500', usage_source: 'provider', input_tokens: 10, output_tokens: 5, status: 200, error_code: null }]);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ spentNano: 1_500n, openNano: 0n }] });
    nowMs += GRACE_MS + 1_000;
    expect(await run()).toEqual({ expired: 0, ended: 0 });
  });
});

describe('an ended attempt whose message was lost', () => {
  it('is booked exactly as it ended', async () => {
    const who = newcomer();
    await admit(who);
    await settle(who);
    nowMs += GRACE_MS + 1_000;
    expect(await run()).toEqual({ expired: 0, ended: 1 });
    expect(await rowOf(who.id)).toEqual([expect.objectContaining({ cost_nano: '1500', usage_source: 'provider', status: 200 })]);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ spentNano: 1_500n, openNano: 0n }] });
  });

  it('that was committed and never released is only released', async () => {
    const who = newcomer();
    await admit(who);
    await settle(who);
    await new UsageLedger(s.database, {
      timezone: 'UTC',
      keepRequests: true,
      defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1n, warningThreshold: 0.8 }),
    }).commit([endOf(who)]);
    nowMs += GRACE_MS + 1_000;
    await run();
    expect(await rowOf(who.id)).toHaveLength(1);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ spentNano: 1_500n, openNano: 0n }] });
  });
});

describe('a tenant whose attempts cannot be booked', () => {
  it('holds up the others for one run at most, and is booked itself once it can be', async () => {
    // More than Redis's guard bears in a row.
    const broken = Array.from({ length: 5 }, newcomer);
    const healthy = newcomer();
    for (const who of [...broken, healthy]) await admit(who);
    // Their lists of attempts are no lists: every look at them is an error of Redis.
    const listOf = ({ tenantId }: Who) => `omg:{${tenantId}}:times`;
    for (const who of broken) {
      await s.redis.rename(listOf(who), `${listOf(who)}:kept`);
      await s.redis.set(listOf(who), 'x');
    }
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    await expect(run()).rejects.toThrow();
    const next = newcomer();
    await admit(next);
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    await expect(run()).rejects.toThrow();
    for (const who of [healthy, next]) expect(await rowOf(who.id)).toHaveLength(1);
    for (const who of broken) await s.redis.rename(`${listOf(who)}:kept`, listOf(who));
    await waitFor(async () => (await run().catch(() => ({ expired: 0 }))).expired === 5, { what: 'the tenants that were broken' });
    for (const who of broken) expect(await rowOf(who.id)).toHaveLength(1);
  });
});

describe('an attempt that nobody can read', () => {
  it('since its id is none becomes a dead letter as well, and those beside it are booked', async () => {
    const who = newcomer();
    await admit({ ...who, id: 'no-id-of-ours' });
    await admit(who);
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    expect(await run()).toMatchObject({ expired: 1 });
    expect(letters).toHaveLength(1);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0 });
  });

  it('becomes a dead letter and holds nothing any more', async () => {
    const who = newcomer();
    await admit(who, '{"v":9}');
    nowMs += LEASE_MS + GRACE_MS + 1_000;
    await run();
    expect(letters.map(({ reason, payload }) => [reason, payload])).toEqual([['invalid_event', '{"v":9}']]);
    expect(await store.inspect(who.tenantId)).toMatchObject({ open: 0, ended: 0 });
    expect(await rowOf(who.id)).toEqual([]);
  });
});
