import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestRedis, startRedis } from '@omg/testkit';
import calculateSlot from 'cluster-key-slot';
import { Redis } from 'ioredis';
import { admitRequest, newCaller, newId, settleRequest, WIDE_LIMITS, type Caller } from './admission.fixture.js';
import { RedisAdmissionStore } from './admission-store.js';
import type { BudgetClaim } from './admission.types.js';
import { RedisLedgerStore } from './ledger-store.js';

const T0 = 1_800_000_000_000;
let nowMs = T0;
let client: Redis;
let store: RedisAdmissionStore;
let ledger: RedisLedgerStore;

beforeAll(async () => {
  const redis = await createTestRedis();
  client = new Redis(redis.url);
  const options = { commandTimeoutMs: 60_000, nowMs: () => nowMs };
  store = new RedisAdmissionStore(client, options);
  ledger = new RedisLedgerStore(client, options);
});

afterAll(async () => {
  store.close();
  ledger.close();
  client.disconnect();
  await cleanUp();
});

const limited = (change: Partial<typeof WIDE_LIMITS>) => ({ ...WIDE_LIMITS, ...change });
const claim = (limitNano: bigint, windowId = 'calendar_month:2027-01-01'): BudgetClaim => ({ windowId, windowEndMs: T0 + 86_400_000, limitNano });
const seeded = async (caller: Caller, spentNano: bigint, windowId = 'calendar_month:2027-01-01', version = 1n) =>
  ledger.seed(caller.tenantId, [{ scope: 'tenant', windowId, windowEndMs: T0 + 86_400_000, spentNano, version }]);

async function keysOf(tenantId: string): Promise<string[]> {
  return client.keys(`omg:{${tenantId}}:*`);
}

describe('requests per minute', () => {
  it('admits exactly the limit out of 1,000 concurrent requests', async () => {
    const caller = newCaller();
    const limits = { key: WIDE_LIMITS, tenant: limited({ requestsPerMinute: 100 }) };
    const results = await Promise.all(Array.from({ length: 1_000 }, () => store.admit(admitRequest(caller, { limits }))));
    expect(results.filter((r) => r.admitted)).toHaveLength(100);
    expect(results.filter((r) => !r.admitted && r.reason === 'requests' && r.scope === 'tenant')).toHaveLength(900);
  });

  it('counts any 60 seconds, not calendar minutes, and tells exactly when there is room again', async () => {
    const caller = newCaller();
    const limits = { key: limited({ requestsPerMinute: 2 }), tenant: WIDE_LIMITS };
    nowMs = T0 + 900;
    expect((await store.admit(admitRequest(caller, { limits }))).admitted).toBe(true);
    nowMs = T0 + 30_000;
    expect((await store.admit(admitRequest(caller, { limits }))).admitted).toBe(true);
    nowMs = T0 + 59_999;
    const refused = await store.admit(admitRequest(caller, { limits }));
    expect(refused).toMatchObject({ admitted: false, reason: 'requests', scope: 'key', retryAfterMs: 61_000 - 59_999, requests: { limit: 2, remaining: 0 } });
    nowMs = T0 + 60_999;
    expect((await store.admit(admitRequest(caller, { limits }))).admitted).toBe(false);
    nowMs = T0 + 61_000;
    expect((await store.admit(admitRequest(caller, { limits }))).admitted).toBe(true);
    expect(await store.admit(admitRequest(caller, { limits }))).toMatchObject({ admitted: false, retryAfterMs: 30_000 });
    nowMs = T0;
  });

  it('a refusal by the tenant consumes nothing of the key, and refused requests do not prolong the wait', async () => {
    const caller = newCaller();
    const limits = { key: limited({ requestsPerMinute: 10 }), tenant: limited({ requestsPerMinute: 1 }) };
    await store.admit(admitRequest(caller, { limits }));
    for (let i = 0; i < 5; i++) await store.admit(admitRequest(caller, { limits }));
    const wide = await store.admit(admitRequest(caller, { limits: { key: limited({ requestsPerMinute: 10 }), tenant: WIDE_LIMITS } }));
    expect(wide).toMatchObject({ admitted: true, requests: { limit: 10, remaining: 8 } });
    expect((await ledger.inspect(caller.tenantId)).open).toBe(2);
  });
});

describe('tokens per minute', () => {
  it('refuses once the window is at its limit, charges the estimate and corrects it to the real count at settlement', async () => {
    const caller = newCaller();
    const limits = { key: limited({ tokensPerMinute: 100 }), tenant: WIDE_LIMITS };
    const first = admitRequest(caller, { limits, estimatedTokens: 90 });
    expect(await store.admit(first)).toMatchObject({ admitted: true, tokens: { limit: 100, remaining: 10 } });
    const second = admitRequest(caller, { limits, estimatedTokens: 90 });
    expect(await store.admit(second)).toMatchObject({ admitted: true, tokens: { remaining: 0 } });
    expect(await store.admit(admitRequest(caller, { limits }))).toMatchObject({ admitted: false, reason: 'tokens', scope: 'key' });
    await store.settle(settleRequest(first, { tokens: 20 }));
    await store.settle(settleRequest(second, { tokens: 30 }));
    expect(await store.admit(admitRequest(caller, { limits, estimatedTokens: 1 }))).toMatchObject({ admitted: true, tokens: { remaining: 49 } });
  });

  it('charges the surplus of a call that outlived its window when it ends, and forgets a deficit', async () => {
    const caller = newCaller();
    const limits = { key: limited({ tokensPerMinute: 1_000 }), tenant: WIDE_LIMITS };
    nowMs = T0;
    const long = admitRequest(caller, { limits, estimatedTokens: 50 });
    const cheap = admitRequest(caller, { limits, estimatedTokens: 50 });
    await store.admit(long);
    await store.admit(cheap);
    nowMs = T0 + 120_000;
    await store.settle(settleRequest(long, { tokens: 400 }));
    await store.settle(settleRequest(cheap, { tokens: 10 }));
    expect(await store.admit(admitRequest(caller, { limits, estimatedTokens: 0 }))).toMatchObject({ tokens: { remaining: 650 } });
    nowMs = T0;
  });
});

describe('parallel leases', () => {
  it('frees a lease at settlement, at cancellation and when it expires; renewal prolongs it', async () => {
    const caller = newCaller();
    const limits = { key: limited({ parallelRequests: 1 }), tenant: WIDE_LIMITS };
    const request = () => admitRequest(caller, { limits, leaseMs: 10_000 });
    nowMs = T0;
    const first = request();
    await store.admit(first);
    expect(await store.admit(request())).toMatchObject({ admitted: false, reason: 'parallel', scope: 'key', retryAfterMs: 1_000 });
    await store.settle(settleRequest(first));
    const second = request();
    expect((await store.admit(second)).admitted).toBe(true);
    await store.cancel(caller.tenantId, caller.keyId, second.attemptId);
    const third = request();
    expect((await store.admit(third)).admitted).toBe(true);
    nowMs = T0 + 9_000;
    expect(await store.renew(caller.tenantId, caller.keyId, third.attemptId, 10_000)).toBe(true);
    nowMs = T0 + 18_000;
    expect((await store.admit(request())).admitted).toBe(false);
    nowMs = T0 + 19_001;
    expect((await store.admit(request())).admitted).toBe(true);
    await store.settle(settleRequest(third));
    expect(await store.renew(caller.tenantId, caller.keyId, third.attemptId, 10_000)).toBe(false);
    nowMs = T0;
  });
});

describe('budgets', () => {
  it('admits ten out of 200 concurrent calls on a budget for ten', async () => {
    const caller = newCaller();
    await seeded(caller, 0n);
    const budgets = { tenant: claim(10_000n) };
    const results = await Promise.all(Array.from({ length: 200 }, () => store.admit(admitRequest(caller, { budgets, holdNano: 1_000n }))));
    expect(results.filter((r) => r.admitted)).toHaveLength(10);
    expect(results.every((r) => r.admitted || r.reason === 'budget')).toBe(true);
  });

  it('caps the hold by what remains for key and tenant, and refuses below the least hold', async () => {
    const caller = newCaller();
    await seeded(caller, 400n);
    await ledger.seed(caller.tenantId, [
      { scope: 'key', keyId: caller.keyId, windowId: 'calendar_month:2027-01-01', windowEndMs: T0 + 1, spentNano: 0n, version: 1n },
    ]);
    const budgets = { tenant: claim(1_000n), key: claim(500n) };
    expect(await store.admit(admitRequest(caller, { budgets, holdNano: 9_000n, holdMinNano: 501n }))).toMatchObject({
      admitted: false,
      reason: 'budget',
      scope: 'key',
    });
    const admitted = await store.admit(admitRequest(caller, { budgets, holdNano: 9_000n, holdMinNano: 500n }));
    expect(admitted).toMatchObject({
      admitted: true,
      heldNano: 500n,
      budgets: { tenant: { limitNano: 1_000n, spentNano: 400n, openNano: 500n, needsSeed: false }, key: { limitNano: 500n, spentNano: 0n, openNano: 500n } },
    });
    expect(await store.admit(admitRequest(caller, { budgets }))).toMatchObject({ admitted: false, reason: 'budget', scope: 'key', retryAfterMs: 86_400_000 });
  });

  it('holds at most the allowance while the total is not known, and asks for a seed', async () => {
    const caller = newCaller();
    const request = () => admitRequest(caller, { budgets: { tenant: claim(1_000_000n) }, holdNano: 600n, unseededAllowanceNano: 1_000n });
    expect(await store.admit(request())).toMatchObject({ admitted: true, heldNano: 600n, budgets: { tenant: { spentNano: undefined, needsSeed: true } } });
    expect(await store.admit(request())).toMatchObject({ admitted: true, heldNano: 400n });
    expect(await store.admit(request())).toMatchObject({ admitted: false, reason: 'budget' });
    await seeded(caller, 0n);
    expect(await store.admit(request())).toMatchObject({ admitted: true, budgets: { tenant: { spentNano: 0n, openNano: 1_600n, needsSeed: false } } });
  });

  it('says that a rolling total needs a seed once it is no longer fresh, and keeps using it meanwhile', async () => {
    const caller = newCaller();
    const budgets = { tenant: claim(1_000n, 'rolling_7d') };
    await ledger.seed(caller.tenantId, [{ scope: 'tenant', windowId: 'rolling_7d', windowEndMs: T0, spentNano: 300n, version: 5n, freshUntilMs: T0 + 60_000 }]);
    expect(await store.admit(admitRequest(caller, { budgets, holdNano: 100n }))).toMatchObject({ budgets: { tenant: { needsSeed: false } } });
    nowMs = T0 + 60_001;
    expect(await store.admit(admitRequest(caller, { budgets, holdNano: 700n }))).toMatchObject({
      heldNano: 600n,
      budgets: { tenant: { needsSeed: true, spentNano: 300n } },
    });
    nowMs = T0;
  });

  it("takes a key's total for fresh for a time that Redis's clock measures", async () => {
    const caller = newCaller();
    const { keyId } = caller;
    await ledger.seed(caller.tenantId, [
      { scope: 'key', keyId, windowId: 'daily:2027-01-01', windowEndMs: T0, spentNano: 3n, version: 5n, freshForMs: 60_000 },
    ]);
    const claimed = claim(1_000n, 'daily:2027-01-01');
    const state = { ...caller, limits: { key: WIDE_LIMITS, tenant: WIDE_LIMITS }, budgets: { tenant: claimed, key: claimed } };
    const needsSeed = async () => (await store.readState(state)).budgets.key?.needsSeed;
    nowMs = T0 + 60_000;
    expect(await needsSeed()).toBe(false);
    nowMs = T0 + 60_001;
    expect(await needsSeed()).toBe(true);
    nowMs = T0;
  });

  it('keeps sums near 2^53 exact', async () => {
    const caller = newCaller();
    const limit = 9_007_199_254_740_991n;
    await seeded(caller, 9_007_199_254_740_000n);
    expect(await store.admit(admitRequest(caller, { budgets: { tenant: claim(limit) }, holdNano: limit }))).toMatchObject({
      heldNano: 991n,
      budgets: { tenant: { spentNano: 9_007_199_254_740_000n, openNano: 991n } },
    });
  });
});

describe('a window that ends while calls are running', () => {
  const [before, after] = ['daily:2027-01-15', 'daily:2027-01-16'];
  const midnight = T0 + 3_600_000;
  const daily = (limitNano: bigint, windowId: string): BudgetClaim => ({
    windowId,
    windowEndMs: windowId === before ? midnight : midnight + 86_400_000,
    limitNano,
  });

  it('is charged with what was admitted in it; the next one starts empty, with its whole limit', async () => {
    const caller = newCaller();
    nowMs = midnight - 1_000;
    for (const windowId of [before, after]) await seeded(caller, 0n, windowId);
    const running = admitRequest(caller, { holdNano: 1_000n, budgets: { tenant: daily(1_000n, before), key: daily(1_000n, before) } });
    expect((await store.admit(running)).admitted).toBe(true);
    const late = { ...running, attemptId: newId() };
    expect(await store.admit(late)).toMatchObject({ admitted: false, reason: 'budget', retryAfterMs: 1_000 });
    nowMs = midnight;
    const next = admitRequest(caller, { holdNano: 1_000n, budgets: { tenant: daily(1_000n, after), key: daily(1_000n, after) } });
    expect((await store.admit(next)).admitted).toBe(true);
    expect((await store.settle(settleRequest(running, { costNano: 700n }))).budgets.tenant).toMatchObject({ openNano: 700n });
    const open = (await ledger.inspect(caller.tenantId)).budgets
      .filter(({ scope }) => scope === 'tenant')
      .map(({ windowId, openNano }) => [windowId, openNano]);
    expect(open.toSorted()).toEqual([
      [before, 700n],
      [after, 1_000n],
    ]);
    nowMs = T0;
  });
});

describe('reading', () => {
  it('tells limits and budgets without changing anything, and the time of Redis', async () => {
    const caller = newCaller();
    const budgets = { tenant: claim(1_000n), key: claim(500n) };
    await seeded(caller, 400n);
    const before = await keysOf(caller.tenantId);
    const limits = { key: limited({ requestsPerMinute: 7, tokensPerMinute: 90 }), tenant: limited({ requestsPerMinute: 8, tokensPerMinute: 80 }) };
    expect(await store.readState({ ...caller, limits, budgets })).toEqual({
      requests: { limit: 7, remaining: 7, resetMs: 0 },
      tokens: { limit: 80, remaining: 80, resetMs: 0 },
      budgets: {
        tenant: { limitNano: 1_000n, spentNano: 400n, openNano: 0n, needsSeed: false },
        key: { limitNano: 500n, spentNano: undefined, openNano: 0n, needsSeed: true },
      },
    });
    expect(await keysOf(caller.tenantId)).toEqual(before);
    expect(Math.abs((await store.serverTimeMs()) - Date.now())).toBeLessThan(60_000);
  });
});

describe('one more attempt of a call', () => {
  const budgets = { tenant: claim(10_000n) };
  const wider = { moreNano: 3_000n, moreMinNano: 1n, budgets, unseededAllowanceNano: 0n };

  it('holds what it may cost beside what the call holds already, capped by what remains, or nothing below its least', async () => {
    const caller = newCaller();
    await seeded(caller, 0n);
    const request = admitRequest(caller, { budgets, holdNano: 4_000n });
    const { attemptId } = request;
    await store.admit(request);
    expect(await store.extendHold({ ...caller, ...wider, attemptId })).toBe(3_000n);
    expect(await store.extendHold({ ...caller, ...wider, attemptId, moreNano: 5_000n, moreMinNano: 3_001n })).toBeUndefined();
    expect(await store.extendHold({ ...caller, ...wider, attemptId, moreNano: 5_000n, moreMinNano: 3_000n })).toBe(3_000n);
    expect(await store.extendHold({ ...caller, ...wider, attemptId })).toBeUndefined();
    expect((await ledger.inspect(caller.tenantId)).budgets).toMatchObject([{ openNano: 10_000n }]);
    await store.settle(settleRequest(request, { costNano: 6_500n }));
    expect((await ledger.inspect(caller.tenantId)).budgets).toMatchObject([{ openNano: 6_500n }]);
  });

  it('is held by the key as well, and not at all once the call has ended', async () => {
    const caller = newCaller();
    await seeded(caller, 0n);
    await ledger.seed(caller.tenantId, [{ scope: 'key', keyId: caller.keyId, windowId: budgets.tenant.windowId, windowEndMs: T0, spentNano: 0n, version: 1n }]);
    const both = { ...budgets, key: claim(5_000n) };
    const request = admitRequest(caller, { budgets: both, holdNano: 4_000n });
    const { attemptId } = request;
    await store.admit(request);
    expect(await store.extendHold({ ...caller, ...wider, attemptId, budgets: both })).toBe(1_000n);
    await store.settle(settleRequest(request));
    expect(await store.extendHold({ ...caller, ...wider, attemptId, budgets: both })).toBeUndefined();
    expect((await ledger.inspect(caller.tenantId)).budgets.map((b) => b.openNano)).toEqual([500n, 500n]);
  });
});

describe('settle, release and seed', () => {
  it('turns the hold into the cost, stores the event, and a second settlement changes nothing', async () => {
    const caller = newCaller();
    await seeded(caller, 0n);
    const request = admitRequest(caller, { budgets: { tenant: claim(10_000n), key: claim(10_000n) } });
    await store.admit(request);
    expect(await store.settle(settleRequest(request, { costNano: 250n }))).toMatchObject({
      wasOpen: true,
      budgets: { tenant: { openNano: 250n }, key: { openNano: 250n } },
    });
    expect(await store.settle(settleRequest(request, { costNano: 9_000n, event: 'other' }))).toMatchObject({
      wasOpen: false,
      budgets: { tenant: { openNano: 250n } },
    });
    nowMs = T0 + 1;
    expect(await ledger.endedAttempts(caller.tenantId, 0, 10)).toEqual([
      {
        attemptId: request.attemptId,
        tenantId: caller.tenantId,
        keyId: caller.keyId,
        atMs: T0,
        heldNano: 250n,
        payload: `{"v":1,"id":"${request.attemptId}"}`,
      },
    ]);
    nowMs = T0;
  });

  it('release takes Postgres totals over and gives the holds back in one step, once; older totals are ignored', async () => {
    const caller = newCaller();
    await seeded(caller, 0n);
    const request = admitRequest(caller, { budgets: { tenant: claim(10_000n) } });
    await store.admit(request);
    await store.settle(settleRequest(request, { costNano: 250n }));
    const total = { scope: 'tenant' as const, windowId: 'calendar_month:2027-01-01', windowEndMs: T0 + 86_400_000, spentNano: 250n, version: 7n };
    await ledger.release(caller.tenantId, [request.attemptId], [total]);
    await ledger.release(caller.tenantId, [request.attemptId], [{ ...total, spentNano: 1n, version: 6n }]);
    expect(await ledger.inspect(caller.tenantId)).toEqual({
      open: 0,
      ended: 0,
      budgets: [{ scope: 'tenant', windowId: 'calendar_month:2027-01-01', spentNano: 250n, openNano: 0n, version: 7n }],
    });
  });

  it('release of an attempt that nobody settled frees its lease and its hold', async () => {
    const caller = newCaller();
    const limits = { key: limited({ parallelRequests: 1 }), tenant: WIDE_LIMITS };
    const request = admitRequest(caller, { limits });
    await store.admit(request);
    await ledger.release(caller.tenantId, [request.attemptId], []);
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ openNano: 0n }] });
    expect((await store.admit(admitRequest(caller, { limits }))).admitted).toBe(true);
  });

  it('a settlement after FLUSHALL stores the event and owes the cost', async () => {
    const caller = newCaller();
    const request = admitRequest(caller, { budgets: { tenant: claim(10_000n) } });
    await store.admit(request);
    await client.flushdb();
    expect(await store.settle(settleRequest(request, { costNano: 250n }))).toMatchObject({
      wasOpen: false,
      budgets: { tenant: { spentNano: undefined, openNano: 250n } },
    });
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 1 });
    await ledger.release(caller.tenantId, [request.attemptId], []);
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [{ openNano: 0n }] });
  });

  it('cancel gives everything back as if the request had never been', async () => {
    const caller = newCaller();
    const limits = { key: limited({ requestsPerMinute: 1, tokensPerMinute: 10, parallelRequests: 1 }), tenant: WIDE_LIMITS };
    const request = admitRequest(caller, { limits });
    await store.admit(request);
    await store.cancel(caller.tenantId, caller.keyId, request.attemptId);
    await store.cancel(caller.tenantId, caller.keyId, request.attemptId);
    expect(await store.admit(admitRequest(caller, { limits }))).toMatchObject({ admitted: true, requests: { remaining: 0 }, tokens: { remaining: 0 } });
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 1, budgets: [{ openNano: 1_000n }] });
  });

  it('an admission that Redis carries out after its own cancellation takes nothing, and its mark is dropped in time', async () => {
    const caller = newCaller();
    const limits = { key: limited({ requestsPerMinute: 1 }), tenant: limited({ parallelRequests: 1 }) };
    const late = admitRequest(caller, { limits });
    await store.cancel(caller.tenantId, caller.keyId, late.attemptId);
    await store.admit(late);
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 0, budgets: [] });
    nowMs += 300_001;
    expect(await ledger.expiredAttempts(caller.tenantId, 0, 10)).toEqual([]);
    expect(await keysOf(caller.tenantId)).toEqual([]);
    expect(await store.admit(admitRequest(caller, { limits }))).toMatchObject({ admitted: true, requests: { remaining: 0 } });
    nowMs = T0;
  });

  it('the end of a mark takes nothing from an attempt that came after the mark was released', async () => {
    const caller = newCaller();
    const late = admitRequest(caller, { leaseMs: 1_000 });
    await store.cancel(caller.tenantId, caller.keyId, late.attemptId);
    await ledger.release(caller.tenantId, [late.attemptId], []);
    await store.admit(late);
    nowMs += 300_001;
    for (let look = 0; look < 2; look++) expect(await ledger.expiredAttempts(caller.tenantId, 0, 10)).toMatchObject([{ attemptId: late.attemptId }]);
    nowMs = T0;
  });

  it('the same admission sent twice counts once', async () => {
    const caller = newCaller();
    const request = admitRequest(caller);
    await store.admit(request);
    expect(await store.admit(request)).toMatchObject({ admitted: true, heldNano: 1_000n, budgets: { tenant: { openNano: 1_000n } } });
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 1 });
  });
});

describe('reaping', () => {
  it('lists open attempts whose lease ended, and ends each once with an estimate that stays owed', async () => {
    const caller = newCaller();
    nowMs = T0;
    const lost = admitRequest(caller, { leaseMs: 10_000, attempt: 'lost' });
    const running = admitRequest(caller, { leaseMs: 60_000 });
    await store.admit(lost);
    await store.admit(running);
    nowMs = T0 + 15_000;
    expect(await ledger.expiredAttempts(caller.tenantId, 10_000, 10)).toEqual([]);
    nowMs = T0 + 20_001;
    expect(await ledger.expiredAttempts(caller.tenantId, 10_000, 10)).toEqual([
      { attemptId: lost.attemptId, tenantId: caller.tenantId, keyId: caller.keyId, atMs: T0 + 10_000, heldNano: 1_000n, payload: 'lost' },
    ]);
    expect(await ledger.endExpired(caller.tenantId, running.attemptId, 'event')).toBe(false);
    expect(await ledger.endExpired(caller.tenantId, lost.attemptId, 'event')).toBe(true);
    expect(await ledger.endExpired(caller.tenantId, lost.attemptId, 'event')).toBe(false);
    expect(await store.settle(settleRequest(lost))).toMatchObject({ wasOpen: false, isStored: false });
    nowMs += 1;
    expect(await ledger.endedAttempts(caller.tenantId, 0, 10)).toMatchObject([{ attemptId: lost.attemptId, heldNano: 1_000n, payload: 'event' }]);
    nowMs = T0;
  });

  it('a tenant with an attempt is listed as active, also when Redis lost the list', async () => {
    const caller = newCaller();
    await store.admit(admitRequest(caller));
    expect(await ledger.activeTenants()).toContain(caller.tenantId);
    await client.flushdb();
    await store.admit(admitRequest(caller));
    expect(await ledger.activeTenants()).toContain(caller.tenantId);
  });

  it('a tenant leaves the list when it is idle and has no attempt left', async () => {
    const [idle, busy] = [newCaller(), newCaller()];
    const request = admitRequest(idle);
    await store.admit(request);
    await store.cancel(idle.tenantId, idle.keyId, request.attemptId);
    await store.admit(admitRequest(busy));
    await client.zadd('omg:tenants', 1, idle.tenantId, 1, busy.tenantId);
    const active = await ledger.activeTenants();
    expect(active).toContain(busy.tenantId);
    expect(active).not.toContain(idle.tenantId);
  });
});

describe('keys', () => {
  it('all keys of a tenant are in one slot of Redis Cluster and have an end of life, but for attempts: they stay until they are booked', async () => {
    const caller = newCaller();
    const request = admitRequest(caller, { budgets: { tenant: claim(10_000n), key: claim(10_000n) } });
    await seeded(caller, 0n);
    await store.admit(request);
    await store.admit(admitRequest(caller));
    await store.settle(settleRequest(request));
    await store.cancel(caller.tenantId, caller.keyId, newId());
    const keys = await keysOf(caller.tenantId);
    expect(keys.length).toBeGreaterThanOrEqual(10);
    expect(new Set(keys.map(calculateSlot))).toEqual(new Set([calculateSlot(caller.tenantId)]));
    const lasting = ['attempts', 'times', 'cancelled'].map((name) => `omg:{${caller.tenantId}}:${name}`);
    expect(keys).toEqual(expect.arrayContaining(lasting));
    for (const key of lasting) expect(await client.pttl(key)).toBe(-1);
    for (const key of [...keys, 'omg:tenants'].filter((name) => !lasting.includes(name))) expect(await client.pttl(key)).toBeGreaterThan(0);
  });

  it('goes on after SCRIPT FLUSH', async () => {
    // A server of its own: scripts belong to all databases of a server.
    const own = new Redis((await startRedis()).url);
    const options = { commandTimeoutMs: 60_000, nowMs: () => nowMs };
    const [admission, books] = [new RedisAdmissionStore(own, options), new RedisLedgerStore(own, options)];
    const caller = newCaller();
    const request = admitRequest(caller);
    await own.script('FLUSH', 'SYNC');
    expect((await admission.admit(request)).admitted).toBe(true);
    await own.script('FLUSH', 'SYNC');
    expect(await admission.settle(settleRequest(request))).toMatchObject({ wasOpen: true });
    await own.script('FLUSH', 'SYNC');
    await books.release(caller.tenantId, [request.attemptId, newId()], []);
    expect(await books.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 0 });
    admission.close();
    books.close();
    own.disconnect();
  });
});
