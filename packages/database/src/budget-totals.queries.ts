import type { NanoUsd } from '@omg/domain';
import { plainArray, textArray, timeArray } from './array-text.js';
import type { AlertDefaults } from './budget-alerts.queries.js';
import type { Transaction } from './transactions.js';

/**
 * Spend per scope and window, kept beside the rollups so that a budget check never sums them.
 *
 * A row is created by summing the rollups of its window, at its first use; from then on every commit adds its own share to
 * every row whose window covers it, whatever schedule the row belongs to. That is exact only if nobody commits rollups of
 * the tenant between the sum and the row's appearance. Therefore each commit holds the tenant's lock shared, and who
 * creates rows holds it exclusively. Locks come first in a transaction and in one order, so they cannot deadlock.
 *
 * Versions come from Postgres's clock and never go back, also across a restore from a backup: Redis takes a total only
 * with a higher version.
 */

/** Scope of a tenant's own total. */
export const TENANT_SCOPE = '00000000-0000-0000-0000-000000000000';

/** A scope's window. For a rolling schedule: the slot it is counted for. */
export interface WindowRef {
  tenantId: string;
  /** TENANT_SCOPE, or a key's id. */
  apiKeyId: string;
  windowId: string;
  startMs: number;
  endMs: number;
}

export interface BudgetTotal extends WindowRef {
  spentNano: NanoUsd;
  version: bigint;
}

/** What a commit adds to a scope in one 15-minute bucket. */
export interface BudgetDelta {
  tenantId: string;
  apiKeyId: string;
  bucketMs: number;
  costNano: NanoUsd;
  requests: number;
  tokens: number;
}

interface TotalRow extends Record<string, unknown> {
  tenant_id: string;
  api_key_id: string;
  window_id: string;
  window_start: Date;
  window_end: Date;
  spent_nano: bigint;
  version: bigint;
}

const TOTAL_COLUMNS = 'b.tenant_id, b.api_key_id, b.window_id, b.window_start, b.window_end, b.spent_nano, b.version';

function fromRow(row: TotalRow): BudgetTotal {
  return {
    tenantId: row.tenant_id,
    apiKeyId: row.api_key_id,
    windowId: row.window_id,
    startMs: row.window_start.getTime(),
    endMs: row.window_end.getTime(),
    spentNano: row.spent_nano,
    version: row.version,
  };
}

const refColumns = (refs: readonly WindowRef[]): unknown[] => [
  plainArray(refs.map((ref) => ref.tenantId)),
  plainArray(refs.map((ref) => ref.apiKeyId)),
  textArray(refs.map((ref) => ref.windowId)),
  timeArray(refs.map((ref) => ref.startMs)),
  timeArray(refs.map((ref) => ref.endMs)),
];

const REFS =
  'unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS w(tenant_id, api_key_id, window_id, window_start, window_end)';

const MISSING_TENANTS = {
  name: 'budget-missing-tenants',
  text: `
SELECT DISTINCT w.tenant_id FROM ${REFS} LEFT JOIN budget_totals b USING (tenant_id, api_key_id, window_id)
WHERE b.tenant_id IS NULL OR b.window_start <> w.window_start OR b.window_end <> w.window_end`,
};

/** Tenants that have no row yet for one of the windows, or one with other bounds. */
export async function tenantsWithMissingTotals(tx: Transaction, refs: readonly WindowRef[]): Promise<string[]> {
  const { rows } = await tx.query<{ tenant_id: string }>({ ...MISSING_TENANTS, values: refColumns(refs) });
  return rows.map((row) => row.tenant_id);
}

const LOCK_TENANTS = {
  name: 'budget-lock-tenants',
  text: `
SELECT CASE WHEN t.exclusive THEN pg_advisory_xact_lock(t.lock) ELSE pg_advisory_xact_lock_shared(t.lock) END
FROM (
  SELECT hashtextextended('budget:' || id, 0) AS lock, bool_or(exclusive) AS exclusive
  FROM unnest($1::text[], $2::boolean[]) AS u(id, exclusive) GROUP BY 1 ORDER BY 1 OFFSET 0
) t`,
};

/** First statement of a commit that touches usage of these tenants. True: exclusively. Held until the transaction ends. */
export async function lockTenants(tx: Transaction, tenants: ReadonlyMap<string, boolean>): Promise<void> {
  await tx.query({ ...LOCK_TENANTS, values: [plainArray([...tenants.keys()]), plainArray([...tenants.values()])] });
}

const COVERS = 'b.tenant_id = d.tenant_id AND b.api_key_id = d.api_key_id AND d.bucket >= b.window_start AND d.bucket < b.window_end';

const LOCK_TOTALS = {
  name: 'budget-lock-totals',
  text: `
SELECT 1 FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS d(tenant_id, api_key_id, bucket) JOIN budget_totals b ON ${COVERS}
ORDER BY b.tenant_id, b.api_key_id, b.window_id FOR NO KEY UPDATE OF b`,
};

const NEXT_VERSION = 'GREATEST(b.version + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

/**
 * Takes at most one delta of each scope: an UPDATE applies only one of several that match a row.
 *
 * The subquery's order is the order in which rows are locked, since statements of this transaction look rows up by index only. All
 * recorders lock in that order, so they wait for each other instead of deadlocking.
 *
 * A tenant has no limit of a key, and a key none of a tenant. The joins compare with null there, and Postgres does not even read the
 * index.
 */
const ADD_TOTALS = {
  name: 'budget-add-totals',
  text: `
WITH added AS (
  UPDATE budget_totals b SET spent_nano = b.spent_nano + d.cost, requests = b.requests + d.requests, tokens = b.tokens + d.tokens,
    version = ${NEXT_VERSION}, limit_nano = d.limit_nano, updated_at = now()
  FROM (
    SELECT d.*, CASE WHEN d.api_key_id = '${TENANT_SCOPE}' THEN COALESCE(o.budget_nano, $8::bigint) ELSE k.quota_nano END AS limit_nano,
      s.last_level IS NOT NULL AS was_told, COALESCE(o.budget_nano, $8::bigint) * COALESCE(o.warning_threshold, $9::numeric) AS warn_nano
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])
      AS d(tenant_id, api_key_id, bucket, cost, requests, tokens, is_wanted)
    LEFT JOIN tenant_budget_overrides o ON o.tenant_id = CASE WHEN d.api_key_id = '${TENANT_SCOPE}' THEN d.tenant_id END
    LEFT JOIN budget_alert_states s ON s.tenant_id = CASE WHEN d.api_key_id = '${TENANT_SCOPE}' THEN d.tenant_id END
    LEFT JOIN api_keys k ON k.id = NULLIF(d.api_key_id, '${TENANT_SCOPE}')
    ORDER BY d.tenant_id, d.api_key_id OFFSET 0
  ) d
  WHERE ${COVERS}
  RETURNING ${TOTAL_COLUMNS}, d.is_wanted, d.api_key_id = '${TENANT_SCOPE}' AND (d.was_told OR b.spent_nano >= d.warn_nano) AS to_evaluate
)
SELECT * FROM added WHERE is_wanted`,
};

/** A total after a commit has added its share. */
export interface AddedTotal extends BudgetTotal {
  /** A tenant's, whose spend has reached the warning threshold, or who was told something before. */
  toEvaluate: boolean;
}

/**
 * Adds a commit's share to every row that covers it and returns those rows of scopes that are `wanted`. The defaults count where the
 * tenant has no budget of its own. Needs a transaction with `byIndex`.
 */
export async function addToTotals(
  tx: Transaction,
  deltas: readonly BudgetDelta[],
  defaults: AlertDefaults,
  wanted: (scope: Pick<WindowRef, 'tenantId' | 'apiKeyId'>) => boolean,
): Promise<AddedTotal[]> {
  const [first, ...further] = roundsOf(deltas);
  if (!first) return [];
  if (further.length > 0) await tx.query({ ...LOCK_TOTALS, values: scopeColumns(deltas) });
  const totals = new Map<string, AddedTotal>();
  for (const round of [first, ...further]) {
    const sums = [round.map((d) => d.costNano), round.map((d) => d.requests), round.map((d) => d.tokens), round.map(wanted)];
    const values = [...scopeColumns(round), ...sums.map(plainArray), defaults.limitNano, defaults.warningThreshold.toFixed(4)];
    const { rows } = await tx.query<TotalRow & { to_evaluate: boolean }>({ ...ADD_TOTALS, values });
    for (const row of rows) totals.set(`${row.tenant_id} ${row.api_key_id} ${row.window_id}`, { ...fromRow(row), toEvaluate: row.to_evaluate });
  }
  return [...totals.values()];
}

const scopeColumns = (deltas: readonly BudgetDelta[]): unknown[] => [
  plainArray(deltas.map((d) => d.tenantId)),
  plainArray(deltas.map((d) => d.apiKeyId)),
  timeArray(deltas.map((d) => d.bucketMs)),
];

/** Each scope once in a round. Nearly always there is one round: further ones hold the further buckets that a commit spans. */
function roundsOf(deltas: readonly BudgetDelta[]): BudgetDelta[][] {
  const rounds: BudgetDelta[][] = [];
  const roundOf = new Map<string, number>();
  for (const delta of deltas) {
    const scope = `${delta.tenantId} ${delta.apiKeyId}`;
    const round = roundOf.get(scope) ?? 0;
    roundOf.set(scope, round + 1);
    (rounds[round] ??= []).push(delta);
  }
  return rounds;
}

// Compared as pairs, the bounds can only be looked up in the index that begins with the tenant. Compared alone, a planner without
// statistics (a young installation) takes the index of buckets and reads everybody's rows of the window.
const CREATE_TOTALS = {
  name: 'budget-create-totals',
  text: `
INSERT INTO budget_totals AS b (tenant_id, api_key_id, window_id, window_start, window_end, spent_nano, requests, tokens, version, limit_nano, updated_at)
SELECT w.tenant_id, w.api_key_id, w.window_id, w.window_start, w.window_end, s.cost, s.requests, s.tokens,
  (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  CASE WHEN w.api_key_id = '${TENANT_SCOPE}' THEN COALESCE(o.budget_nano, $6::bigint) ELSE k.quota_nano END, now()
FROM ${REFS}
LEFT JOIN tenant_budget_overrides o ON o.tenant_id = w.tenant_id
LEFT JOIN api_keys k ON k.id = w.api_key_id
CROSS JOIN LATERAL (
  SELECT COALESCE(sum(r.cost_nano), 0)::bigint AS cost, COALESCE(sum(r.requests), 0)::bigint AS requests,
    COALESCE(sum(r.input_tokens + r.output_tokens), 0)::bigint AS tokens
  FROM usage_rollups r
  WHERE r.tenant_id = w.tenant_id AND (w.api_key_id = '${TENANT_SCOPE}' OR r.api_key_id = w.api_key_id)
    AND (r.tenant_id, r.bucket) >= (w.tenant_id, w.window_start) AND (r.tenant_id, r.bucket) < (w.tenant_id, w.window_end)
) s
ORDER BY w.tenant_id, w.api_key_id, w.window_id
ON CONFLICT (tenant_id, api_key_id, window_id) DO UPDATE SET window_start = EXCLUDED.window_start, window_end = EXCLUDED.window_end,
  spent_nano = EXCLUDED.spent_nano, requests = EXCLUDED.requests, tokens = EXCLUDED.tokens, limit_nano = EXCLUDED.limit_nano,
  version = ${NEXT_VERSION}, updated_at = now()
WHERE (b.window_start <> EXCLUDED.window_start OR b.window_end <> EXCLUDED.window_end)
  AND (b.window_id NOT LIKE 'rolling%' OR b.window_start < EXCLUDED.window_start)`,
};

/**
 * Creates the rows that are missing and moves rolling windows to their slot, each with the sum of its rollups. The caller
 * holds the tenants' locks exclusively. A rolling window never moves back.
 */
export async function createTotals(tx: Transaction, refs: readonly WindowRef[], defaultLimitNano: NanoUsd): Promise<void> {
  await tx.query({ ...CREATE_TOTALS, values: [...refColumns(refs), defaultLimitNano] });
}

const READ_TOTALS = {
  name: 'budget-read-totals',
  text: `
SELECT ${TOTAL_COLUMNS}
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w(tenant_id, api_key_id, window_id) JOIN budget_totals b USING (tenant_id, api_key_id, window_id)`,
};

export async function readTotals(tx: Transaction, refs: readonly Pick<WindowRef, 'tenantId' | 'apiKeyId' | 'windowId'>[]): Promise<BudgetTotal[]> {
  if (refs.length === 0) return [];
  const { rows } = await tx.query<TotalRow>({
    ...READ_TOTALS,
    values: [plainArray(refs.map((ref) => ref.tenantId)), plainArray(refs.map((ref) => ref.apiKeyId)), textArray(refs.map((ref) => ref.windowId))],
  });
  return rows.map(fromRow);
}
