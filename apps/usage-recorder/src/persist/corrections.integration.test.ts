import { randomUUID } from 'node:crypto';
import { ATTEMPT_LOST, type UsageEvent } from '@omg/contracts';
import { createPool, ledgerDatabase, rollupMismatches, totalMismatches, type LedgerDatabase, type PostgresPool } from '@omg/database';
import { cleanUp, createTestDatabase } from '@omg/testkit';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { attemptId, usageEvent } from '../usage-event.fixture.js';
import { UsageLedger } from './commit-usage.js';

/** A call is booked by estimate when its edge seems dead, and exactly when the edge tells its end after all. */

let pool: PostgresPool;
let database: LedgerDatabase;

beforeAll(async () => {
  const { settings } = await createTestDatabase();
  pool = createPool({ ...settings, maxConns: 10 }, { name: 'corrections-test' });
  database = ledgerDatabase(pool);
});

afterAll(async () => {
  await pool.end();
  await cleanUp();
});

const ledger = (keepRequests = true) =>
  new UsageLedger(database, {
    timezone: 'UTC',
    keepRequests,
    defaults: () => Promise.resolve({ schedule: 'daily', limitNano: 1_000_000_000n, warningThreshold: 0.8 }),
  });

/** What the reaper makes of the same attempt: the provider that was planned first, and what was held. */
const estimateOf = ({ id, tenantId, apiKeyId, requestId }: UsageEvent, priced = true): UsageEvent =>
  usageEvent({
    id,
    tenantId,
    apiKeyId,
    requestId,
    provider: 'first-choice',
    routeId: undefined,
    providerModel: undefined,
    status: 499,
    errorCode: ATTEMPT_LOST,
    meters: { inputTokens: 100, outputTokens: 200 },
    usageSource: 'estimate',
    costNano: priced ? '4000' : null,
    costComponents: priced ? { held: '4000' } : undefined,
  });

const nothingOf = (event: UsageEvent): UsageEvent => ({
  ...event,
  status: 502,
  errorCode: 'provider_error',
  meters: { inputTokens: 0, outputTokens: 0 },
  usageSource: 'none',
  costNano: '0',
  costComponents: undefined,
});

async function rowOf({ id }: UsageEvent) {
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT r.status, r.error_code, r.provider AS request_provider, r.cost_nano AS request_cost, u.provider, u.usage_source, u.cost_nano, u.input_tokens, u.output_tokens,
       u.cost_components FROM requests r LEFT JOIN usage_records u USING (id, ts) WHERE id = $1`,
    [id],
  );
  expect(rows).toHaveLength(1);
  return rows[0]!;
}

/** Provider, calls, cost of each rollup row; then the tenant's total. */
async function sumsOf(tenantId: string) {
  const { rows } = await pool.query<{ provider: string; requests: string; cost_nano: string }>(
    'SELECT provider, requests, cost_nano FROM usage_rollups WHERE tenant_id = $1 ORDER BY provider',
    [tenantId],
  );
  const totals = await pool.query<{ spent_nano: string; requests: string; tokens: string }>(
    'SELECT DISTINCT spent_nano, requests, tokens FROM budget_totals WHERE tenant_id = $1',
    [tenantId],
  );
  return {
    rollups: rows.map((row) => [row.provider, Number(row.requests), Number(row.cost_nano)]),
    totals: totals.rows.map((row) => Object.values(row).map(Number)),
  };
}

const EXACT_ROW = {
  status: 200,
  error_code: null,
  request_provider: 'demo',
  request_cost: '1500',
  provider: 'demo',
  usage_source: 'provider',
  cost_nano: '1500',
  input_tokens: 10,
  output_tokens: 5,
  cost_components: { input: '1000', output: '500' },
};
const EXACT_SUMS = { rollups: [['demo', 1, 1_500]], totals: [[1_500, 1, 15]] };

async function expectNoMismatch(): Promise<void> {
  const found = await database.transaction(async (tx) => [...(await rollupMismatches(tx, 0, 10)), ...(await totalMismatches(tx, 10))], { snapshot: true });
  expect(found).toEqual([]);
}

describe("an edge's own event for a call that was booked by estimate", () => {
  it('takes its place in row, request, rollups and totals, and tells the totals that Redis must take over', async () => {
    const exact = usageEvent();
    await ledger().commit([estimateOf(exact)]);
    expect(await sumsOf(exact.tenantId)).toEqual({ rollups: [['first-choice', 1, 4_000]], totals: [[4_000, 1, 300]] });
    const result = await ledger().commit([exact]);
    expect(result).toMatchObject({ inserted: 0, corrected: 1 });
    expect(result.totals.map(({ spentNano }) => spentNano)).toEqual([1_500n]);
    expect(await rowOf(exact)).toEqual(EXACT_ROW);
    expect(await sumsOf(exact.tenantId)).toEqual(EXACT_SUMS);
    await expectNoMismatch();
  });

  it('counts once however often it and the estimate come again, from several recorders at once', async () => {
    const exact = usageEvent();
    await ledger().commit([estimateOf(exact)]);
    const results = await Promise.all(Array.from({ length: 6 }, (_, i) => ledger().commit([i % 2 ? exact : estimateOf(exact)])));
    await ledger().commit([estimateOf(exact)]);
    expect(results.reduce((sum, { corrected }) => sum + corrected, 0)).toBe(1);
    expect(await rowOf(exact)).toEqual(EXACT_ROW);
    expect(await sumsOf(exact.tenantId)).toEqual(EXACT_SUMS);
  });

  it('wins in one commit with the estimate, in either order', async () => {
    for (const turn of [0, 1]) {
      const exact = usageEvent();
      const both = [exact, estimateOf(exact)];
      expect(await ledger().commit(turn ? both.toReversed() : both)).toMatchObject({ inserted: 1, corrected: 0 });
      expect(await rowOf(exact)).toEqual(EXACT_ROW);
      expect(await sumsOf(exact.tenantId)).toEqual(EXACT_SUMS);
    }
  });

  it('that consumed nothing leaves a row of zero, whatever comes again', async () => {
    const exact = nothingOf(usageEvent());
    await ledger().commit([estimateOf(exact)]);
    expect(await ledger().commit([exact])).toMatchObject({ inserted: 0, corrected: 1, totals: [{ spentNano: 0n }] });
    await ledger().commit([estimateOf(exact), exact]);
    expect(await rowOf(exact)).toMatchObject({
      status: 502,
      error_code: 'provider_error',
      usage_source: 'none',
      cost_nano: '0',
      input_tokens: 0,
      output_tokens: 0,
    });
    expect(await sumsOf(exact.tenantId)).toEqual({ rollups: [['demo', 1, 0]], totals: [[0, 1, 0]] });
    await expectNoMismatch();
  });

  it('that consumed nothing and was first keeps the estimate out', async () => {
    const exact = nothingOf(usageEvent());
    await ledger().commit([exact]);
    expect(await ledger().commit([estimateOf(exact)])).toMatchObject({ inserted: 0, corrected: 0 });
    expect(await rowOf(exact)).toMatchObject({ status: 502, usage_source: null });
    expect((await sumsOf(exact.tenantId)).rollups).toEqual([]);
  });

  it('corrects the row under zero retention and where no price was known', async () => {
    const [exact, unpriced] = [usageEvent(), usageEvent()];
    await ledger(false).commit([estimateOf(exact)]);
    expect(await ledger(false).commit([exact])).toMatchObject({ corrected: 1 });
    expect(await sumsOf(exact.tenantId)).toEqual(EXACT_SUMS);
    await ledger().commit([estimateOf(unpriced, false)]);
    expect(await ledger().commit([unpriced])).toMatchObject({ corrected: 1 });
    expect(await sumsOf(unpriced.tenantId)).toEqual(EXACT_SUMS);
  });

  it('of which several attempts were billed brings a row of each, once', async () => {
    const answer = usageEvent();
    const billed = { meters: { inputTokens: 7, outputTokens: 0 }, usageSource: 'provider' as const, costNano: '700', costComponents: { input: '700' } };
    const exact: UsageEvent = {
      ...answer,
      attempts: [
        { routeId: 'r-1', provider: 'first-choice', status: 502, latencyMs: 1, usage: { ...billed, id: attemptId(Date.now()) } },
        {
          routeId: 'r-2',
          provider: 'demo',
          status: 200,
          latencyMs: 2,
          usage: { ...billed, meters: answer.meters, costNano: '1500', costComponents: answer.costComponents },
        },
      ],
      meters: { inputTokens: 17, outputTokens: 5 },
      costNano: '2200',
    };
    await ledger().commit([estimateOf(exact)]);
    const results = await Promise.all([ledger().commit([exact]), ledger().commit([exact])]);
    expect(results.map(({ inserted, corrected }) => [inserted, corrected]).toSorted()).toEqual([
      [0, 0],
      [0, 1],
    ]);
    expect(await rowOf(exact)).toMatchObject({ status: 200, request_cost: '2200', provider: 'demo', cost_nano: '1500' });
    expect(await sumsOf(exact.tenantId)).toEqual({
      rollups: [
        ['demo', 1, 1_500],
        ['first-choice', 0, 700],
      ],
      totals: [[2_200, 1, 22]],
    });
    await expectNoMismatch();
  });

  it('leaves estimates alone that an edge made itself', async () => {
    const own = usageEvent({ usageSource: 'estimate' });
    await ledger().commit([own]);
    expect(await ledger().commit([{ ...own, costNano: '9' }])).toMatchObject({ inserted: 0, corrected: 0 });
    expect(await sumsOf(own.tenantId)).toEqual(EXACT_SUMS);
  });
});

describe('any order of estimates, exact events and their redeliveries, from several recorders', () => {
  const kinds = ['exact', 'unpriced', 'nothing', 'own-estimate', 'lost'] as const;

  it('ends with what the edges told, and with books that agree', async () => {
    const delivery = fc.record({ attempt: fc.nat(), reaped: fc.boolean() });
    const plan = fc.record({
      kinds: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 8 }),
      // Commits of one group run at once.
      groups: fc.array(fc.array(fc.array(delivery, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 }), { maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ kinds: drawn, groups }) => {
        const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
        const attempts = drawn.map((kind) => ({
          kind,
          event: usageEvent({ ...who, ...(kind === 'own-estimate' ? { usageSource: 'estimate' as const } : {}) }),
        }));
        const toldOf = ({ kind, event }: (typeof attempts)[number]): UsageEvent => {
          if (kind === 'lost') return estimateOf(event);
          if (kind === 'nothing') return nothingOf(event);
          return kind === 'unpriced' ? { ...event, costNano: null, costComponents: undefined } : event;
        };
        const deliver = ({ attempt, reaped }: { attempt: number; reaped: boolean }): UsageEvent => {
          const one = attempts[attempt % attempts.length]!;
          return reaped ? estimateOf(one.event, one.kind !== 'unpriced') : toldOf(one);
        };
        for (const group of groups) await Promise.all(group.map((deliveries) => ledger().commit(deliveries.map(deliver))));
        await ledger().commit(attempts.map(toldOf));
        let spent = 0;
        for (const one of attempts) {
          const told = toldOf(one);
          const row = await rowOf(told);
          const cost = one.kind === 'nothing' ? (row['usage_source'] === null ? null : '0') : told.costNano;
          expect(row).toMatchObject({ status: told.status, cost_nano: cost, request_cost: told.costNano });
          spent += Number(told.costNano ?? 0);
        }
        // Calls without consumption alone have no total.
        for (const [total] of (await sumsOf(who.tenantId)).totals) expect(total).toBe(spent);
        await expectNoMismatch();
      }),
      { numRuns: 60 },
    );
  });
});
