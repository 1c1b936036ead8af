import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestRedis } from '@omg/testkit';
import { budgetWindow, type BudgetSchedule } from '@omg/domain';
import { fc } from '@omg/testkit/properties';
import { Redis } from 'ioredis';
import { AdmissionModel, budgetId } from './admission-model.fixture.js';
import { newId } from './admission.fixture.js';
import { RedisAdmissionStore } from './admission-store.js';
import type { AdmitRequest, BudgetClaim, BudgetTotalSeed, SettleRequest } from './admission.types.js';
import { RedisLedgerStore } from './ledger-store.js';

/** An hour before the day of 25 hours begins with which summer time ends: weeks and months end soon after it. */
const T0 = Date.parse('2027-10-30T23:00:00+02:00');
const SCHEDULES = ['daily', 'weekly', 'calendar_month', 'rolling_7d'] as const;
const HOUR_MS = 3_600_000;

let client: Redis;
let nowMs = T0;
let store: RedisAdmissionStore;
let ledger: RedisLedgerStore;

beforeAll(async () => {
  client = new Redis((await createTestRedis()).url);
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

/** A run: one tenant with two keys; attempts are addressed by their place in the order of admission requests. */
interface Run {
  model: AdmissionModel;
  tenantId: string;
  keyIds: string[];
  requests: AdmitRequest[];
}

type Step = (run: Run) => Promise<void>;

const limits = fc.record({
  requestsPerMinute: fc.integer({ min: 1, max: 6 }),
  tokensPerMinute: fc.integer({ min: 1, max: 300 }),
  parallelRequests: fc.integer({ min: 1, max: 5 }),
});
const nano = fc.bigInt({ min: 0n, max: 2_000n });
const key = fc.integer({ min: 0, max: 1 });
const schedule = fc.constantFrom(...SCHEDULES);
const place = fc.nat({ max: 1_000 });

const windowNow = (of: BudgetSchedule): { windowId: string; windowEndMs: number } => {
  const { id, endMs } = budgetWindow(of, 'Europe/Berlin', nowMs);
  return { windowId: id, windowEndMs: endMs };
};
const claim = (of: BudgetSchedule, limitNano: bigint): BudgetClaim => ({ ...windowNow(of), limitNano });

const admit = fc
  .record({
    key,
    schedule,
    limits: fc.record({ key: limits, tenant: limits }),
    estimatedTokens: fc.nat({ max: 120 }),
    holdNano: nano,
    holdMinNano: fc.oneof(fc.constant(0n), nano),
    tenantLimit: fc.bigInt({ min: 0n, max: 6_000n }),
    keyLimit: fc.option(fc.bigInt({ min: 0n, max: 4_000n })),
    allowance: nano,
    leaseMs: fc.integer({ min: 1, max: 40_000 }),
    again: fc.boolean(),
  })
  .map((d): Step => async (run) => {
    const budgets = { tenant: claim(d.schedule, d.tenantLimit), ...(d.keyLimit === null ? {} : { key: claim(d.schedule, d.keyLimit) }) };
    const request: AdmitRequest = {
      attemptId: newId(),
      tenantId: run.tenantId,
      keyId: run.keyIds[d.key]!,
      limits: d.limits,
      estimatedTokens: d.estimatedTokens,
      holdNano: d.holdNano,
      holdMinNano: d.holdMinNano,
      budgets,
      unseededAllowanceNano: d.allowance,
      leaseMs: d.leaseMs,
      attempt: `attempt|${run.requests.length}\nwith | all of it`,
    };
    run.requests.push(request);
    expect(await store.admit(request)).toEqual(run.model.admit(request, nowMs));
    if (d.again) expect(await store.admit(request)).toEqual(run.model.admit(request, nowMs));
  });

const onAttempt = (act: (run: Run, request: AdmitRequest) => Promise<void>) => (n: number) => async (run: Run) => {
  if (run.requests.length > 0) await act(run, run.requests[n % run.requests.length]!);
};

const settle = fc.tuple(place, fc.nat({ max: 400 }), nano).map(([n, tokens, costNano]): Step =>
  onAttempt(async (run, { attemptId, tenantId, keyId, budgets }) => {
    const request: SettleRequest = { attemptId, tenantId, keyId, budgets, tokens, costNano, event: `{"n":${n}}` };
    expect(await store.settle(request)).toEqual(run.model.settle(request, nowMs));
  })(n),
);
const cancel = place.map((n): Step =>
  onAttempt(async (run, { tenantId, keyId, attemptId }) => {
    await store.cancel(tenantId, keyId, attemptId);
    run.model.cancel(tenantId, keyId, attemptId, nowMs);
  })(n),
);
/** A command that was held up: it comes again, or for the first time after its own cancellation. */
const admitAgain = place.map((n): Step =>
  onAttempt(async (run, request) => {
    expect(await store.admit(request)).toEqual(run.model.admit(request, nowMs));
  })(n),
);
const admitCancelled = fc.tuple(place, fc.boolean()).map(([n, comesAtAll]): Step =>
  onAttempt(async (run, former) => {
    const request = { ...former, attemptId: newId() };
    run.requests.push(request);
    await store.cancel(request.tenantId, request.keyId, request.attemptId);
    run.model.cancel(request.tenantId, request.keyId, request.attemptId, nowMs);
    if (comesAtAll) expect(await store.admit(request)).toEqual(run.model.admit(request, nowMs));
  })(n),
);
const extendHold = fc.tuple(place, nano, fc.bigInt({ min: -500n, max: 1_000n }), nano).map(([n, moreNano, moreMinNano, unseededAllowanceNano]): Step =>
  onAttempt(async (run, { attemptId, tenantId, keyId, budgets }) => {
    const request = { attemptId, tenantId, keyId, budgets, moreNano, moreMinNano, unseededAllowanceNano };
    expect(await store.extendHold(request)).toEqual(run.model.extendHold(request));
  })(n),
);
const readState = place.map((n): Step =>
  onAttempt(async (run, request) => {
    expect(await store.readState(request)).toEqual(run.model.stateOf(request, nowMs));
  })(n),
);
const renew = fc.tuple(place, fc.integer({ min: 1, max: 40_000 })).map(([n, leaseMs]): Step =>
  onAttempt(async (run, { tenantId, keyId, attemptId }) => {
    expect(await store.renew(tenantId, keyId, attemptId, leaseMs)).toBe(run.model.renew(attemptId, leaseMs, nowMs));
  })(n),
);
const endExpired = place.map((n): Step =>
  onAttempt(async (run, { tenantId, attemptId }) => {
    expect(await ledger.endExpired(tenantId, attemptId, 'reaped')).toBe(run.model.endExpired(attemptId, 'reaped', nowMs));
  })(n),
);
const total = fc.record({
  key: fc.option(key),
  schedule,
  spentNano: nano,
  version: fc.bigInt({ min: 0n, max: 9n }),
  freshForMs: fc.nat({ max: 60_000 }),
});
const seedOf = (run: Run, d: { key: number | null; schedule: BudgetSchedule; spentNano: bigint; version: bigint; freshForMs: number }): BudgetTotalSeed => ({
  scope: d.key === null ? 'tenant' : 'key',
  ...(d.key === null ? {} : { keyId: run.keyIds[d.key]! }),
  ...windowNow(d.schedule),
  spentNano: d.spentNano,
  version: d.version,
  ...(d.schedule.startsWith('rolling') ? { freshUntilMs: nowMs + d.freshForMs } : {}),
});
const seed = fc.array(total, { minLength: 1, maxLength: 3 }).map((totals): Step => async (run) => {
  const seeds = totals.map((d) => seedOf(run, d));
  await ledger.seed(run.tenantId, seeds);
  run.model.seed(seeds);
});
const release = fc.tuple(fc.array(place, { maxLength: 4 }), fc.array(total, { maxLength: 2 })).map(([places, totals]): Step => async (run) => {
  const ids = run.requests.length === 0 ? [] : places.map((n) => run.requests[n % run.requests.length]!.attemptId);
  const seeds = totals.map((d) => seedOf(run, d));
  await ledger.release(run.tenantId, ids, seeds);
  run.model.release(ids, seeds);
});
const list = fc.nat({ max: 20_000 }).map((olderThanMs): Step => async (run) => {
  const due = run.model.list('open', olderThanMs, nowMs).length + run.model.list('ended', olderThanMs, nowMs).length;
  // Marks of cancelled admissions count until they are dropped.
  expect(await ledger.dueAttempts(run.tenantId, olderThanMs)).toBeGreaterThanOrEqual(due);
  expect(await ledger.expiredAttempts(run.tenantId, olderThanMs, 1_000)).toEqual(run.model.list('open', olderThanMs, nowMs));
  expect(await ledger.endedAttempts(run.tenantId, olderThanMs, 1_000)).toEqual(run.model.list('ended', olderThanMs, nowMs));
  expect(await ledger.dueAttempts(run.tenantId, olderThanMs)).toBe(due);
});
const wait = fc.oneof(fc.nat({ max: 2_000 }), fc.nat({ max: 40_000 }), fc.nat({ max: 130_000 }), fc.nat({ max: 30 * HOUR_MS })).map((ms): Step => async () => {
  nowMs += ms;
});
const flush = fc.constant<Step>(async (run) => {
  await client.flushdb();
  run.model.flush();
});

const step = fc.oneof(
  { weight: 24, arbitrary: admit },
  { weight: 14, arbitrary: settle },
  { weight: 4, arbitrary: cancel },
  { weight: 2, arbitrary: admitAgain },
  { weight: 2, arbitrary: admitCancelled },
  { weight: 6, arbitrary: extendHold },
  { weight: 3, arbitrary: readState },
  { weight: 8, arbitrary: renew },
  { weight: 4, arbitrary: endExpired },
  { weight: 6, arbitrary: seed },
  { weight: 6, arbitrary: release },
  { weight: 4, arbitrary: list },
  { weight: 12, arbitrary: wait },
  { weight: 1, arbitrary: flush },
);

async function compareWhole(run: Run): Promise<void> {
  const { budgets, open, ended } = await ledger.inspect(run.tenantId);
  expect({ open, ended }).toEqual(run.model.counts());
  const found = new Map(budgets.map((b) => [budgetId(b.scope, b.keyId ?? '', b.windowId), b.openNano]));
  expect(found).toEqual(run.model.openByBudget());
}

describe('the scripts do what the plain model does', () => {
  it('in random sequences of all operations, every answer and the state afterwards agree', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
        nowMs = T0 + 123;
        const run: Run = { model: new AdmissionModel(), tenantId: newId(), keyIds: [newId(), newId()], requests: [] };
        for (const one of steps) await one(run);
        await compareWhole(run);
      }),
      { numRuns: 300 },
    );
  });
});
