import { randomUUID } from 'node:crypto';
import { budgetWindow, costOf } from '@omg/domain';
import { ensureUsageStreams, usageBacklog } from '@omg/storage';
import { cleanUp } from '@omg/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toSeed } from '../ingest/bookkeeper.js';
import { UsageLedger } from '../persist/commit-usage.js';
import { openSurroundings, publish, type Surroundings } from '../testing.fixture.js';
import { usageEvent } from '../usage-event.fixture.js';
import { verifyLedger, type VerifyReport } from './verify-ledger.js';

let s: Surroundings;
let priceVersionId: string;
let who: { tenantId: string; apiKeyId: string };

beforeAll(async () => {
  s = await openSurroundings();
  await ensureUsageStreams(await s.nats.connected(), { maxBytes: 16 * 1_048_576, replicas: 1 });
  const routeId = randomUUID();
  priceVersionId = randomUUID();
  await s.pool.query(`INSERT INTO model_aliases (key, alias, updated_at) VALUES ('assistant', 'assistant', now())`);
  await s.pool.query(
    `INSERT INTO model_routes (id, alias_key, identity, source, provider, provider_model, updated_at) VALUES ($1, 'assistant', 'one', 'db', 'demo', 'demo-large', now())`,
    [routeId],
  );
  await s.pool.query('INSERT INTO price_versions (id, route_id, price_input, price_output) VALUES ($1, $2, 0.0001, 0.0002)', [priceVersionId, routeId]);
});

/** A ledger in order: one tenant with priced usage, its total in Redis, an audit log of no rows. */
beforeEach(async () => {
  await s.pool.query('TRUNCATE requests, usage_records, usage_rollups, budget_totals, usage_days, usage_days_built');
  await s.redis.flushdb();
  who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
  const meters = { inputTokens: 120, outputTokens: 30 };
  const cost = costOf({ id: priceVersionId, input: '0.0001', output: '0.0002' }, meters, 'chat');
  const costComponents = Object.fromEntries(Object.entries(cost.components).map(([name, nano]) => [name, String(nano)]));
  const ledger = new UsageLedger(s.database, {
    timezone: 'UTC',
    keepRequests: true,
    defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1_000_000_000n, warningThreshold: 0.8 }),
  });
  const { id: windowId } = budgetWindow('calendar_month', 'UTC', Date.now());
  const windows = { schedule: 'calendar_month', tenant: windowId, key: windowId };
  const events = Array.from({ length: 20 }, () => usageEvent({ ...who, windows, meters, priceVersionId, costNano: String(cost.totalNano), costComponents }));
  const { totals } = await ledger.commit(events);
  await s.redis.zadd('omg:tenants', Date.now(), who.tenantId);
  await s.store.seed(who.tenantId, totals.map(toSeed));
});

afterAll(cleanUp);

async function verify(options: { settleMs?: number; allowRunning?: boolean } = {}): Promise<VerifyReport> {
  const connection = await s.nats.connected();
  return verifyLedger(
    { database: s.database, store: s.store, backlog: () => usageBacklog(connection) },
    { usageSinceMs: 0, costsSinceMs: 0, settleMs: 0, allowRunning: false, ...options },
  );
}

describe('verification', () => {
  it('finds nothing in a ledger that is in order', async () => {
    expect(await verify()).toEqual({ mismatches: [], usageRows: 20, unverifiableCosts: 0, tenants: 1, auditRows: 0, deadLetters: 0 });
  });

  it.each([
    ['a usage row that vanished', 'DELETE FROM usage_records WHERE id = (SELECT max(id::text)::uuid FROM usage_records)', ['rollup']],
    ['a rollup that was counted twice', 'UPDATE usage_rollups SET requests = requests + 1', ['budget_total', 'budget_total', 'rollup']],
    ['a total that was changed', 'UPDATE budget_totals SET spent_nano = spent_nano + 1', ['budget_total', 'budget_total', 'redis_total', 'redis_total']],
    [
      'a cost that its meters and price do not give',
      `UPDATE usage_records SET cost_components = NULL, meters = '{"inputTokens":121,"outputTokens":30}' WHERE id = (SELECT max(id::text)::uuid FROM usage_records)`,
      ['cost'],
    ],
    [
      'components that do not add up',
      `UPDATE usage_records SET cost_components = '{"input":"1"}' WHERE id = (SELECT max(id::text)::uuid FROM usage_records)`,
      ['cost'],
    ],
  ])('finds %s', async (_what, sql, kinds) => {
    await s.pool.query(sql);
    const { mismatches } = await verify();
    expect(mismatches.map(({ kind }) => kind).toSorted()).toEqual(kinds);
  });

  it('finds a sum of a closed day that is not that of its rollups, a missing one and one too many; days without a mark mean nothing', async () => {
    // The events of this test lie in a day that has its mark, as if it were over.
    const [start, end] = [new Date(Date.now() - 86_400_000), new Date(Date.now() + 86_400_000)];
    await s.pool.query(
      `INSERT INTO usage_days (zone, kind, starts_at, tenant_id, entity, requests, tokens, cost_nano, unpriced)
       SELECT 'Asia/Kolkata', CASE WHEN grouping(api_key_id) = 0 THEN 'api_key' WHEN grouping(tenant_id, model_alias) = 0 THEN 'tenant_model'
           WHEN grouping(tenant_id) = 0 THEN 'tenant' WHEN grouping(model_alias) = 0 THEN 'model' ELSE 'total' END,
         $1::timestamptz, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), coalesce(api_key_id::text, model_alias, ''),
         sum(requests), sum(input_tokens + output_tokens), sum(cost_nano), sum(unpriced)
       FROM usage_rollups GROUP BY GROUPING SETS ((), (tenant_id), (model_alias), (tenant_id, model_alias), (tenant_id, api_key_id))`,
      [start],
    );
    await s.pool.query("INSERT INTO usage_days_built (zone, starts_at, ends_at) VALUES ('Asia/Kolkata', $1, $2)", [start, end]);
    expect((await verify()).mismatches).toEqual([]);
    await s.pool.query("UPDATE usage_days SET cost_nano = cost_nano + 1 WHERE kind = 'tenant'");
    await s.pool.query("DELETE FROM usage_days WHERE kind = 'model'");
    await s.pool.query("UPDATE usage_days SET entity = $1 WHERE kind = 'api_key'", [randomUUID()]);
    const { mismatches } = await verify();
    expect(mismatches.map(({ kind }) => kind)).toEqual(['usage_day', 'usage_day', 'usage_day', 'usage_day']);
    expect(mismatches.map(({ text }) => / Asia\/Kolkata, (\w+) /.exec(text)?.[1])).toEqual(['api_key', 'api_key', 'model', 'tenant']);
    await s.pool.query('DELETE FROM usage_days_built');
    expect((await verify()).mismatches).toEqual([]);
  });

  it("finds a total in Redis that is not Postgres's", async () => {
    await s.redis.hset(`omg:{${who.tenantId}}:budget:tenant:calendar_month:${new Date().toISOString().slice(0, 7)}-01`, 's', '1');
    const { mismatches } = await verify();
    expect(mismatches).toEqual([{ kind: 'redis_total', text: expect.stringContaining('Redis has 1 ') }]);
  });

  it('finds a message that is not booked and an attempt that is open, unless running work is allowed', async () => {
    await publish(s.nats, '{}');
    const limits = { requestsPerMinute: 10, tokensPerMinute: 1_000, parallelRequests: 5 };
    const budgets = { tenant: { windowId: 'daily:2026-11-23', windowEndMs: Date.now() + 1_000, limitNano: 1_000n } };
    await s.admission.admit({
      attemptId: usageEvent().id,
      tenantId: who.tenantId,
      keyId: who.apiKeyId,
      limits: { key: limits, tenant: limits },
      estimatedTokens: 1,
      holdNano: 10n,
      holdMinNano: 1n,
      budgets,
      unseededAllowanceNano: 1_000n,
      leaseMs: 60_000,
      attempt: '{}',
    });
    const { mismatches } = await verify();
    expect(mismatches.map(({ text }) => text)).toEqual(['1 usage messages are not booked', `tenant ${who.tenantId}: 1 attempts are open`]);
    expect((await verify({ allowRunning: true })).mismatches).toEqual([]);
  });

  it('finds a gap and a change in the audit log', async () => {
    await s.pool.query(
      `INSERT INTO audit_logs (seq, id, action, resource, resource_id, prev_hash, hash) VALUES (2, gen_random_uuid(), 'tenant.create', 'tenant', 'x', decode(repeat('00', 32), 'hex'), sha256('x'))`,
    );
    const { mismatches } = await verify({ allowRunning: true });
    expect(mismatches).toEqual([
      { kind: 'audit_log', text: 'rows 1 to 1 are missing' },
      { kind: 'audit_log', text: 'row 2 was changed' },
    ]);
  });
});
