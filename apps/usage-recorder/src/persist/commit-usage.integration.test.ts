import { randomUUID } from 'node:crypto';
import type { UsageEvent } from '@omg/contracts';
import { budgetWindow, type BudgetSchedule } from '@omg/domain';
import { TENANT_SCOPE, createPool, createTotals, ledgerDatabase, type LedgerDatabase, type PostgresPool, type Transaction } from '@omg/database';
import { addCleanup, cleanUp, createTestDatabase } from '@omg/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { attemptId, usageEvent } from '../usage-event.fixture.js';
import { UsageLedger, type CommitRules } from './commit-usage.js';

let pool: PostgresPool;
let database: LedgerDatabase;
let rules: CommitRules;
let schedule: BudgetSchedule;

beforeAll(async () => {
  const { settings } = await createTestDatabase();
  pool = createPool({ ...settings, maxConns: 10 }, { name: 'commit-usage-test' });
  database = ledgerDatabase(pool);
});

beforeEach(() => {
  schedule = 'calendar_month';
  rules = { timezone: 'UTC', keepRequests: true, defaults: () => Promise.resolve({ schedule, limitNano: 100_000_000_000n, warningThreshold: 0.8 }) };
});

afterAll(async () => {
  await pool.end();
  await cleanUp();
});

const ledger = () => new UsageLedger(database, rules);

interface Sums {
  rows: number;
  requests: number;
  rowCost: number;
  rollupRequests: number;
  rollupCost: number;
}

/** What the database holds of a tenant, counted from rows and from rollups. */
async function sumsOf(tenantId: string): Promise<Sums> {
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM usage_records WHERE tenant_id = $1)::int AS rows,
       (SELECT count(*) FROM requests WHERE tenant_id = $1)::int AS requests,
       (SELECT coalesce(sum(cost_nano), 0) FROM usage_records WHERE tenant_id = $1)::float AS "rowCost",
       (SELECT coalesce(sum(requests), 0) FROM usage_rollups WHERE tenant_id = $1)::int AS "rollupRequests",
       (SELECT coalesce(sum(cost_nano), 0) FROM usage_rollups WHERE tenant_id = $1)::float AS "rollupCost"`,
    [tenantId],
  );
  return rows[0] as Sums;
}

async function totalsOf(tenantId: string): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ api_key_id: string; window_id: string; spent_nano: string }>('SELECT * FROM budget_totals WHERE tenant_id = $1', [
    tenantId,
  ]);
  return Object.fromEntries(rows.map((row) => [`${row.api_key_id === TENANT_SCOPE ? 'tenant' : 'key'} ${row.window_id}`, Number(row.spent_nano)]));
}

const inWindow = (schedule: Parameters<typeof budgetWindow>[0], atMs: number, timezone = 'UTC'): UsageEvent['windows'] => ({
  schedule,
  tenant: budgetWindow(schedule, timezone, atMs).id,
});

/** Of a key with a budget of its own. */
const keyInWindow = (...args: Parameters<typeof inWindow>): UsageEvent['windows'] => ({ ...inWindow(...args)!, key: inWindow(...args)!.tenant });

/** A failed attempt at one provider that was billed 700, then an answer of another one for 1 500. */
function failedOver(change: Partial<UsageEvent> = {}): UsageEvent {
  const event = usageEvent({ windows: inWindow('calendar_month', Date.now()), ...change });
  const first = { meters: { inputTokens: 7, outputTokens: 0 }, usageSource: 'estimate' as const, costNano: '700', costComponents: { input: '700' } };
  const { routeId, provider, providerModel } = event;
  return {
    ...event,
    attempts: [
      {
        routeId: 'r-1',
        provider: 'first',
        status: 502,
        errorCode: 'overloaded',
        latencyMs: 1,
        usage: { ...first, id: attemptId(Date.now()), providerModel: 'm-1' },
      },
      {
        routeId: routeId!,
        provider,
        status: 200,
        latencyMs: 2,
        usage: { meters: event.meters, usageSource: 'provider', costNano: '1500', costComponents: event.costComponents, providerModel },
      },
    ],
    meters: { inputTokens: 17, outputTokens: 5 },
    usageSource: 'estimate',
    costNano: '2200',
    costComponents: { input: '1700', output: '500' },
  };
}

describe('a request of which several attempts were billed', () => {
  it('is one request row and one usage row per billed attempt, each with its own provider, meters and cost', async () => {
    const event = failedOver();
    expect((await ledger().commit([event])).inserted).toBe(1);
    const { rows } = await pool.query(
      `SELECT id, attempt_of, provider, provider_model, route_id, input_tokens, output_tokens, usage_source, cost_nano, cost_components, ts, booked_at
       FROM usage_records WHERE tenant_id = $1 ORDER BY attempt_of NULLS FIRST`,
      [event.tenantId],
    );
    expect(rows).toMatchObject([
      {
        id: event.id,
        attempt_of: null,
        provider: 'demo',
        route_id: event.routeId,
        input_tokens: 10,
        output_tokens: 5,
        usage_source: 'provider',
        cost_nano: '1500',
      },
      { id: event.attempts![0]!.usage!.id, attempt_of: event.id, provider: 'first', provider_model: 'm-1', route_id: 'r-1', input_tokens: 7, cost_nano: '700' },
    ]);
    expect(rows[1]!.booked_at).toEqual(rows[0]!.booked_at);
    const { rows: requests } = await pool.query('SELECT id, provider, input_tokens, cost_nano FROM requests WHERE tenant_id = $1', [event.tenantId]);
    expect(requests).toEqual([{ id: event.id, provider: 'demo', input_tokens: 17, cost_nano: '2200' }]);
  });

  it('counts once as a request and with every cost in rollups and budgets, however often it comes', async () => {
    const event = failedOver();
    await ledger().commit([event, event]);
    await Promise.all([ledger().commit([event]), ledger().commit([usageEvent(), event])]);
    expect(await sumsOf(event.tenantId)).toEqual({ rows: 2, requests: 1, rowCost: 2200, rollupRequests: 1, rollupCost: 2200 });
    const totals = Object.values(await totalsOf(event.tenantId));
    expect(totals).toEqual([2200, 2200]);
    const { rows } = await pool.query('SELECT DISTINCT requests::int, tokens::int FROM budget_totals WHERE tenant_id = $1', [event.tenantId]);
    expect(rows).toEqual([{ requests: 1, tokens: 22 }]);
  });

  it('is not booked again where an earlier release booked it as one sum', async () => {
    const event = failedOver();
    await ledger().commit([{ ...event, attempts: event.attempts!.map(({ usage: _usage, ...attempt }) => attempt) }]);
    expect((await ledger().commit([event])).inserted).toBe(0);
    expect(await sumsOf(event.tenantId)).toMatchObject({ rows: 1, rollupCost: 2200 });
  });

  it('has its usage row also where the last attempt was not the billed one', async () => {
    const event = failedOver({ status: 502 });
    const [first, last] = event.attempts!;
    await ledger().commit([
      {
        ...event,
        costNano: '700',
        attempts: [
          { ...first!, usage: { ...first!.usage!, id: undefined } },
          { ...last!, usage: undefined },
        ],
      },
    ]);
    const { rows } = await pool.query('SELECT id, attempt_of, provider, cost_nano FROM usage_records WHERE tenant_id = $1', [event.tenantId]);
    expect(rows).toEqual([{ id: event.id, attempt_of: null, provider: 'first', cost_nano: '700' }]);
  });
});

describe('one event', () => {
  it('becomes a request row, a usage row with its provenance, a rollup and the totals of tenant and key', async () => {
    const event = usageEvent({ windows: keyInWindow('calendar_month', Date.now()), ttftMs: 3.4, idempotencyKey: 'once', priceVersionId: randomUUID() });
    const result = await ledger().commit([event]);
    expect(result.inserted).toBe(1);
    const { rows } = await pool.query(
      'SELECT u.*, r.trace_id, r.status, r.ttft_ms, r.idempotency_key FROM usage_records u JOIN requests r USING (id, ts) WHERE id = $1',
      [event.id],
    );
    expect(rows[0]).toMatchObject({
      cost_nano: '1500',
      cost_components: { input: '1000', output: '500' },
      meters: { inputTokens: 10, outputTokens: 5 },
      usage_source: 'provider',
      price_version_id: event.priceVersionId,
      budget_window_id: event.windows!.tenant,
      trace_id: event.requestId,
      status: 200,
      ttft_ms: 3,
      idempotency_key: 'once',
    });
    expect(await sumsOf(event.tenantId)).toEqual({ rows: 1, requests: 1, rowCost: 1500, rollupRequests: 1, rollupCost: 1500 });
    expect(result.totals.map((total) => total.spentNano)).toEqual([1500n, 1500n]);
  });

  it('is booked once however often it comes, alone, doubled in one commit, and from two recorders at once', async () => {
    const event = usageEvent({ windows: keyInWindow('calendar_month', Date.now()) });
    await Promise.all([ledger().commit([event, event]), ledger().commit([event])]);
    await ledger().commit([event]);
    const last = await ledger().commit([event]);
    expect(last.inserted).toBe(0);
    expect(await sumsOf(event.tenantId)).toEqual({ rows: 1, requests: 1, rowCost: 1500, rollupRequests: 1, rollupCost: 1500 });
    expect(last.totals.map((total) => total.spentNano)).toEqual([1500n, 1500n]);
  });

  it('is booked whatever its idempotency key was used for before: the key is no row identity', async () => {
    const first = usageEvent({ idempotencyKey: 'again' });
    const later = usageEvent({ tenantId: first.tenantId, apiKeyId: first.apiKeyId, idempotencyKey: 'again' });
    await ledger().commit([first]);
    await ledger().commit([later]);
    expect(await sumsOf(first.tenantId)).toMatchObject({ rows: 2, requests: 2, rollupRequests: 2 });
  });

  it('with an unknown price counts its tokens, as unpriced, and costs nothing', async () => {
    const event = usageEvent({ costNano: null, costComponents: undefined });
    await ledger().commit([event]);
    const { rows } = await pool.query('SELECT input_tokens::int, cost_nano::int, unpriced::int FROM usage_rollups WHERE tenant_id = $1', [event.tenantId]);
    expect(rows).toEqual([{ input_tokens: 10, cost_nano: 0, unpriced: 1 }]);
  });

  it('that was refused is a request row only', async () => {
    const event = usageEvent({
      status: 429,
      provider: 'limiter',
      usageSource: 'none',
      costNano: '0',
      holdNano: undefined,
      meters: { inputTokens: 0, outputTokens: 0 },
    });
    const result = await ledger().commit([event]);
    expect(result).toEqual({ inserted: 0, corrected: 0, totals: [], toEvaluate: new Set() });
    expect(await sumsOf(event.tenantId)).toEqual({ rows: 0, requests: 1, rowCost: 0, rollupRequests: 0, rollupCost: 0 });
  });

  it('leaves no request row under zero retention, and still counts', async () => {
    rules.keepRequests = false;
    const event = usageEvent();
    await ledger().commit([event]);
    expect(await sumsOf(event.tenantId)).toEqual({ rows: 1, requests: 0, rowCost: 1500, rollupRequests: 1, rollupCost: 1500 });
  });

  it('from outside all partitions is booked once as well', async () => {
    const event = usageEvent({ atMs: Date.UTC(2031, 4, 1) });
    await ledger().commit([event]);
    await ledger().commit([event]);
    expect(await sumsOf(event.tenantId)).toMatchObject({ rows: 1, rollupRequests: 1 });
  });
});

describe('two recorders that book overlapping events of few tenants in different orders', () => {
  it('never deadlock and agree on every sum', async () => {
    const tenants = Array.from({ length: 4 }, () => ({ tenantId: randomUUID(), apiKeyId: randomUUID() }));
    const events = Array.from({ length: 600 }, (_, i) => usageEvent({ ...tenants[i % 4]!, modelAlias: `model-${i % 7}` }));
    const shuffled = () => events.toSorted(() => Math.random() - 0.5);
    const slices = (list: UsageEvent[]) => Array.from({ length: 12 }, (_, i) => list.slice(i * 50, i * 50 + 50));
    await Promise.all([...slices(events), ...slices(shuffled()), ...slices(shuffled())].map((slice) => ledger().commit(slice)));
    for (const { tenantId } of tenants) {
      expect(await sumsOf(tenantId)).toEqual({ rows: 150, requests: 150, rowCost: 225_000, rollupRequests: 150, rollupCost: 225_000 });
      expect(Object.values(await totalsOf(tenantId))).toEqual([225_000, 225_000]);
    }
  });
});

describe('budget totals', () => {
  it('belong to the window of the admission, also when the event is late or the edge has a wrong clock', async () => {
    const october = Date.UTC(2026, 9, 31, 23, 59);
    const event = usageEvent({ atMs: october + 3_600_000, windows: inWindow('calendar_month', october) });
    await ledger().commit([event]);
    expect(await totalsOf(event.tenantId)).toEqual({ 'tenant calendar_month:2026-10-01': 1500, 'key calendar_month:2026-10-01': 1500 });
    const { rows } = await pool.query<{ bucket: Date }>('SELECT bucket FROM usage_rollups WHERE tenant_id = $1', [event.tenantId]);
    expect(rows[0]!.bucket.toISOString()).toBe('2026-10-31T23:45:00.000Z');
  });

  it('start with what the window already holds when the schedule changes, and grow from then on', async () => {
    const noon = Date.UTC(2026, 10, 18, 12);
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const earlier = [1, 20, 40].map((hours) => usageEvent({ ...who, atMs: noon - hours * 3_600_000, windows: inWindow('calendar_month', noon) }));
    await ledger().commit(earlier);
    await ledger().commit([usageEvent({ ...who, atMs: noon, windows: inWindow('daily', noon) })]);
    // An edge that has not heard of the change yet still books by the month.
    await ledger().commit([usageEvent({ ...who, atMs: noon + 1, windows: inWindow('calendar_month', noon) })]);
    expect(await totalsOf(who.tenantId)).toMatchObject({
      'tenant calendar_month:2026-11-01': 7500,
      'tenant daily:2026-11-18': 4500,
      'key daily:2026-11-18': 4500,
    });
  });

  it('are exact when many commits create the same window at once while others book by another schedule', async () => {
    const noon = Date.UTC(2026, 10, 18, 12);
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const commits = Array.from({ length: 30 }, (_, i) =>
      usageEvent({ ...who, atMs: noon + i, windows: inWindow((['calendar_month', 'daily', 'weekly'] as const)[i % 3]!, noon) }),
    );
    await Promise.all(commits.map((event) => ledger().commit([event])));
    const totals = await totalsOf(who.tenantId);
    expect(Object.keys(totals)).toHaveLength(6);
    expect(new Set(Object.values(totals))).toEqual(new Set([45_000]));
  });

  it('follow the local calendar across a change to winter time', async () => {
    rules.timezone = 'Europe/Berlin';
    schedule = 'daily';
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    // 25 October 2026 has 25 hours in Berlin: from 24 October 22:00 UTC to 25 October 23:00 UTC.
    const times = [Date.UTC(2026, 9, 24, 21, 59), Date.UTC(2026, 9, 24, 22, 0), Date.UTC(2026, 9, 25, 22, 59), Date.UTC(2026, 9, 25, 23, 0)];
    await ledger().commit(times.map((atMs) => usageEvent({ ...who, atMs })));
    expect(await totalsOf(who.tenantId)).toMatchObject({ 'tenant daily:2026-10-24': 1500, 'tenant daily:2026-10-25': 3000, 'tenant daily:2026-10-26': 1500 });
  });

  it('of a rolling window count what its buckets hold, and forget nothing that is still inside', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const day = 86_400_000;
    const windows = { schedule: 'rolling_2d', tenant: 'rolling_2d', key: 'rolling_2d' };
    const ages = [3 * day, 2 * day - 60_000, day, 1_000];
    for (const age of ages) await ledger().commit([usageEvent({ ...who, atMs: Date.now() - age, windows })]);
    const { totals } = await ledger().commit([usageEvent({ ...who, windows })]);
    expect(totals.map((total) => total.spentNano)).toEqual([6000n, 6000n]);
  });

  it('of a first call are counted without reading what other tenants used, also by a plan that Postgres made while there was nothing', async () => {
    const bucketMs = Math.floor(Date.now() / 900_000) * 900_000;
    const window = budgetWindow('calendar_month', 'UTC', bucketMs);
    const firstCall = (tx: Transaction) => {
      const refs = Array.from({ length: 64 }, () => ({ tenantId: randomUUID(), apiKeyId: TENANT_SCOPE, windowId: window.id, ...window }));
      return createTotals(tx, refs, 0n);
    };
    const rowsRead = async (tx: Transaction): Promise<number> => {
      const text = `SELECT (seq_tup_read + idx_tup_fetch)::int AS n FROM pg_stat_xact_user_tables WHERE relname = 'usage_rollups'`;
      return (await tx.query<{ n: number }>({ text })).rows[0]!.n;
    };
    const read = await database.transaction(async (tx) => {
      // From the sixth execution on, a statement may keep its plan.
      for (let i = 0; i < 8; i++) await firstCall(tx);
      await tx.query({
        text: `INSERT INTO usage_rollups (bucket, tenant_id, api_key_id, model_alias, provider, requests, input_tokens, output_tokens, cached_input_tokens,
          reasoning_tokens, images, cost_nano, unpriced)
          SELECT $1, gen_random_uuid(), gen_random_uuid(), 'm', 'p', 1, 1, 1, 0, 0, 0, 1, 0 FROM generate_series(1, 3000)`,
        values: [new Date(bucketMs)],
      });
      const before = await rowsRead(tx);
      await firstCall(tx);
      return (await rowsRead(tx)) - before;
    });
    expect(read).toBe(0);
  });

  it('are told of tenants, and of those keys that have a budget', async () => {
    const who = { tenantId: randomUUID(), windows: inWindow('daily', Date.now()) };
    const limited = usageEvent({ ...who, windows: keyInWindow('daily', Date.now()) });
    const told = async () => (await ledger().commit([usageEvent(who), limited, usageEvent(who)])).totals.map(({ apiKeyId }) => apiKeyId).toSorted();
    expect(await told()).toEqual([TENANT_SCOPE, limited.apiKeyId].toSorted());
    // Again, as rows that are there and not created, with events that are booked already among them.
    expect(await told()).toEqual([TENANT_SCOPE, limited.apiKeyId].toSorted());
  });

  it('that vanish under a running recorder, as when a backup is restored, are counted again', async () => {
    const who = { tenantId: randomUUID(), windows: keyInWindow('daily', Date.now()), apiKeyId: randomUUID() };
    const running = ledger();
    await running.commit([usageEvent(who)]);
    for (const gone of ['', `AND api_key_id = '${TENANT_SCOPE}'`]) {
      await pool.query(`DELETE FROM budget_totals WHERE tenant_id = $1 ${gone}`, [who.tenantId]);
      const { totals } = await running.commit([usageEvent(who)]);
      const { rollupCost } = await sumsOf(who.tenantId);
      expect(totals.map(({ spentNano }) => Number(spentNano))).toEqual([rollupCost, rollupCost]);
    }
    expect(await sumsOf(who.tenantId)).toMatchObject({ rows: 3, rollupRequests: 3 });
  });

  it('get every share of a commit whose events span several buckets and windows', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const noon = Date.UTC(2026, 10, 18, 12);
    const at = (atMs: number, schedule: BudgetSchedule) => usageEvent({ ...who, atMs, windows: inWindow(schedule, atMs) });
    await ledger().commit([at(noon, 'daily'), at(noon, 'calendar_month')]);
    const hours = [-30, -2, -1, -1, 0, 1];
    await ledger().commit(hours.map((hour) => at(noon + hour * 3_600_000, 'calendar_month')));
    expect(await totalsOf(who.tenantId)).toMatchObject({
      'tenant calendar_month:2026-11-01': 8 * 1500,
      'key calendar_month:2026-11-01': 8 * 1500,
      'tenant daily:2026-11-18': 7 * 1500,
      'key daily:2026-11-18': 7 * 1500,
    });
  });

  it("note the limit in force: the tenant's own, else the default", async () => {
    const tenantId = randomUUID();
    await pool.query('INSERT INTO tenants (id, name, updated_at) VALUES ($1, $2, now())', [tenantId, `limits ${tenantId}`]);
    await pool.query('INSERT INTO tenant_budget_overrides (tenant_id, budget_nano, updated_at) VALUES ($1, 7, now())', [tenantId]);
    const other = usageEvent();
    await ledger().commit([usageEvent({ tenantId }), other]);
    const limit = async (id: string) =>
      (await pool.query<{ limit_nano: string }>('SELECT limit_nano FROM budget_totals WHERE tenant_id = $1 AND api_key_id = $2', [id, TENANT_SCOPE])).rows[0]!
        .limit_nano;
    expect([await limit(tenantId), await limit(other.tenantId)]).toEqual(['7', '100000000000']);
  });

  it('have versions that only grow', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const versions: bigint[] = [];
    for (let i = 0; i < 5; i++) versions.push((await ledger().commit([usageEvent(who)])).totals[0]!.version);
    expect(versions).toEqual(versions.toSorted((a, b) => Number(a - b)));
    expect(new Set(versions).size).toBe(5);
  });
});

describe('a commit', () => {
  it('reads only rows that it names, also by plans that Postgres made while the tables were empty', async () => {
    const { settings } = await createTestDatabase();
    const own = createPool({ ...settings, maxConns: 1 }, { name: 'commit-reads-test' });
    addCleanup(() => own.end());
    const commit = (events: UsageEvent[]) => new UsageLedger(ledgerDatabase(own), rules).commit(events);
    const events = (count: number) => Array.from({ length: count }, () => usageEvent());
    const scanned = async (): Promise<unknown> => {
      await own.query('SELECT pg_stat_force_next_flush()');
      const { rows } = await own.query('SELECT relname, seq_tup_read::int FROM pg_stat_user_tables WHERE seq_tup_read > 0 ORDER BY 1');
      return rows;
    };
    // From the sixth execution on, a statement may keep its plan.
    for (let i = 0; i < 8; i++) await commit(events(2));
    await own.query('SELECT pg_stat_reset()');
    const known = events(200);
    await commit(known);
    await commit([...known.map(({ tenantId, apiKeyId }) => usageEvent({ tenantId, apiKeyId })), ...known]);
    expect(await scanned()).toEqual([]);
  });
});

describe('the evaluation of a budget', () => {
  async function tenant(override: { limitNano: number | null; threshold: number | null }): Promise<string> {
    const tenantId = randomUUID();
    await pool.query('INSERT INTO tenants (id, name, updated_at) VALUES ($1, $2, now())', [tenantId, `evaluated ${tenantId}`]);
    await pool.query('INSERT INTO tenant_budget_overrides (tenant_id, budget_nano, warning_threshold, updated_at) VALUES ($1, $2, $3, now())', [
      tenantId,
      override.limitNano,
      override.threshold,
    ]);
    return tenantId;
  }

  it.each([
    { budget: 'its own', override: { limitNano: 10_000, threshold: 0.5 }, below: '4999' },
    { budget: 'its own limit, the default threshold', override: { limitNano: 10_000, threshold: null }, below: '7999' },
    { budget: 'its own threshold, the default limit', override: { limitNano: null, threshold: 0.5 }, below: '49999999999' },
  ])('is asked for from the warning threshold on, and not before ($budget)', async ({ override, below }) => {
    const tenantId = await tenant(override);
    expect((await ledger().commit([usageEvent({ tenantId, costNano: below })])).toEvaluate).toEqual(new Set());
    const reaching = usageEvent({ tenantId, costNano: '1' });
    expect((await ledger().commit([reaching, usageEvent()])).toEvaluate).toEqual(new Set([tenantId]));
    // After a crash between the commit and the note: the event comes again.
    expect((await ledger().commit([reaching])).toEvaluate).toEqual(new Set([tenantId]));
  });

  it('is asked for where something was said before, so that it can be forgotten', async () => {
    const tenantId = await tenant({ limitNano: 10_000, threshold: 0.5 });
    await pool.query(
      `INSERT INTO budget_alert_states (tenant_id, window_id, last_level, updated_at) VALUES ($1, 'calendar_month:2020-01-01', 'exceeded', now())`,
      [tenantId],
    );
    expect((await ledger().commit([usageEvent({ tenantId, costNano: '1' })])).toEvaluate).toEqual(new Set([tenantId]));
  });
});

describe('the last use of a key', () => {
  it('is noted from its events and never goes back', async () => {
    const [tenantId, apiKeyId] = [randomUUID(), randomUUID()];
    await pool.query('INSERT INTO tenants (id, name, updated_at) VALUES ($1, $2, now())', [tenantId, `keys ${tenantId}`]);
    await pool.query(
      `INSERT INTO api_keys (id, tenant_id, prefix, secret_digest, last_four, name, updated_at) VALUES ($1, $2, $3, sha256('x'), 'abcd', 'k', now())`,
      [apiKeyId, tenantId, attemptId(0)],
    );
    const atMs = Date.UTC(2026, 10, 20);
    await ledger().commit([usageEvent({ tenantId, apiKeyId, atMs }), usageEvent({ tenantId, apiKeyId, atMs: atMs - 5_000 })]);
    await ledger().commit([usageEvent({ tenantId, apiKeyId, atMs: atMs - 86_400_000 })]);
    const { rows } = await pool.query<{ last_used_at: Date }>('SELECT last_used_at FROM api_keys WHERE id = $1', [apiKeyId]);
    expect(rows[0]!.last_used_at.getTime()).toBe(atMs + 13);
  });
});
