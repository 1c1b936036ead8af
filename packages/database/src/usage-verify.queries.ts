import type { CostComponent, Meters, NanoUsd, Operation, PriceVersion } from '@omg/domain';
import { TENANT_SCOPE } from './budget-totals.queries.js';
import type { Transaction } from './transactions.js';

/** Reads for the ledger's verification. All run in one snapshot, so a running system can be verified. */

const iso = (ms: number): string => new Date(ms).toISOString();

export interface RollupMismatch {
  tenantId: string;
  bucket: Date;
  apiKeyId: string;
  modelAlias: string;
  provider: string;
  /** Null: no usage row, or no rollup row. */
  scanned: string | null;
  stored: string | null;
}

const SUMS = ['requests', 'input_tokens', 'output_tokens', 'cached_input_tokens', 'reasoning_tokens', 'images', 'cost_nano', 'unpriced'] as const;
const sumsOf = (alias: string) => `concat_ws(' ', ${SUMS.map((name) => `'${name}=' || ${alias}.${name}`).join(', ')})`;

/** Rollups of buckets from `sinceMs` on that differ from the sum of the usage rows. No row and one of zeros are the same. */
export async function rollupMismatches(tx: Transaction, sinceMs: number, limit: number): Promise<RollupMismatch[]> {
  const { rows } = await tx.query<{
    tenant_id: string;
    bucket: Date;
    api_key_id: string;
    model_alias: string;
    provider: string;
    scanned: string | null;
    stored: string | null;
  }>({
    text: `
WITH scan AS (
  SELECT tenant_id, date_bin('15 minutes', booked_at, 'epoch') AS bucket, api_key_id, model_alias, provider, count(*) FILTER (WHERE attempt_of IS NULL) AS requests,
    sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
    sum(reasoning_tokens)::bigint AS reasoning_tokens, sum(images)::bigint AS images, coalesce(sum(cost_nano), 0)::bigint AS cost_nano,
    count(*) FILTER (WHERE cost_nano IS NULL) AS unpriced
  FROM usage_records WHERE booked_at >= $1 GROUP BY 1, 2, 3, 4, 5
), rollup AS (
  SELECT tenant_id, bucket, api_key_id, model_alias, provider, ${SUMS.join(', ')} FROM usage_rollups WHERE bucket >= $1
)
SELECT tenant_id, bucket, api_key_id, model_alias, provider,
  CASE WHEN s.requests IS NULL THEN NULL ELSE ${sumsOf('s')} END AS scanned, CASE WHEN r.requests IS NULL THEN NULL ELSE ${sumsOf('r')} END AS stored
FROM scan s FULL JOIN rollup r USING (tenant_id, bucket, api_key_id, model_alias, provider)
WHERE (${SUMS.map((name) => `coalesce(s.${name}, 0)`).join(', ')}) IS DISTINCT FROM (${SUMS.map((name) => `coalesce(r.${name}, 0)`).join(', ')})
ORDER BY 1, 2 LIMIT $2`,
    values: [iso(sinceMs), limit],
  });
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    bucket: row.bucket,
    apiKeyId: row.api_key_id,
    modelAlias: row.model_alias,
    provider: row.provider,
    scanned: row.scanned,
    stored: row.stored,
  }));
}

export interface TotalMismatch {
  tenantId: string;
  apiKeyId: string;
  windowId: string;
  stored: string;
  counted: string;
}

/** Budget totals that differ from the sum of the rollups of their window. */
export async function totalMismatches(tx: Transaction, limit: number): Promise<TotalMismatch[]> {
  const { rows } = await tx.query<{ tenant_id: string; api_key_id: string; window_id: string; stored: string; counted: string }>({
    text: `
SELECT b.tenant_id, b.api_key_id, b.window_id, concat_ws(' ', b.spent_nano, b.requests, b.tokens) AS stored, concat_ws(' ', s.cost, s.requests, s.tokens) AS counted
FROM budget_totals b CROSS JOIN LATERAL (
  SELECT coalesce(sum(r.cost_nano), 0)::bigint AS cost, coalesce(sum(r.requests), 0)::bigint AS requests, coalesce(sum(r.input_tokens + r.output_tokens), 0)::bigint AS tokens
  FROM usage_rollups r
  WHERE r.tenant_id = b.tenant_id AND (b.api_key_id = '${TENANT_SCOPE}' OR r.api_key_id = b.api_key_id) AND r.bucket >= b.window_start AND r.bucket < b.window_end
) s
WHERE (b.spent_nano, b.requests, b.tokens) IS DISTINCT FROM (s.cost, s.requests, s.tokens)
ORDER BY 1, 2, 3 LIMIT $1`,
    values: [limit],
  });
  return rows.map((row) => ({ tenantId: row.tenant_id, apiKeyId: row.api_key_id, windowId: row.window_id, stored: row.stored, counted: row.counted }));
}

export interface DayMismatch {
  zone: string;
  startsAt: Date;
  kind: string;
  tenantId: string;
  entity: string;
  /** Null: the day has no such row, or the rollups have none. */
  stored: string | null;
  counted: string | null;
}

/** Sums of built days that differ from the rollups of the day: what reports would show in place of the rollups. */
export async function dayMismatches(tx: Transaction, sinceMs: number, limit: number): Promise<DayMismatch[]> {
  const sums = ['requests', 'tokens', 'cost_nano', 'unpriced'] as const;
  const text = (alias: string) => `concat_ws(' ', ${sums.map((name) => `'${name}=' || ${alias}.${name}`).join(', ')})`;
  const { rows } = await tx.query<{
    zone: string;
    starts_at: Date;
    kind: string;
    tenant_id: string;
    entity: string;
    stored: string | null;
    counted: string | null;
  }>({
    text: `
SELECT b.zone, b.starts_at, m.* FROM usage_days_built b CROSS JOIN LATERAL (
  SELECT kind, tenant_id, entity, CASE WHEN d.requests IS NULL THEN NULL ELSE ${text('d')} END AS stored,
    CASE WHEN c.requests IS NULL THEN NULL ELSE ${text('c')} END AS counted
  FROM (
    SELECT kind, tenant_id, entity, requests, tokens, cost_nano, unpriced FROM usage_days WHERE zone = b.zone AND starts_at = b.starts_at
  ) d FULL JOIN (
    SELECT CASE WHEN grouping(api_key_id) = 0 THEN 'api_key' WHEN grouping(tenant_id, model_alias) = 0 THEN 'tenant_model'
        WHEN grouping(tenant_id) = 0 THEN 'tenant' WHEN grouping(model_alias) = 0 THEN 'model' ELSE 'total' END AS kind,
      coalesce(tenant_id, '${TENANT_SCOPE}') AS tenant_id, coalesce(api_key_id::text, model_alias, '') AS entity,
      sum(requests) AS requests, sum(input_tokens + output_tokens) AS tokens, sum(cost_nano) AS cost_nano, sum(unpriced) AS unpriced
    FROM usage_rollups WHERE bucket >= b.starts_at AND bucket < b.ends_at
    GROUP BY GROUPING SETS ((), (tenant_id), (model_alias), (tenant_id, model_alias), (tenant_id, api_key_id)) HAVING count(*) > 0
  ) c USING (kind, tenant_id, entity)
  WHERE (${sums.map((name) => `coalesce(d.${name}, 0)`).join(', ')}) IS DISTINCT FROM (${sums.map((name) => `coalesce(c.${name}, 0)`).join(', ')})
) m
WHERE b.starts_at >= $1 ORDER BY 1, 2, 3, 4, 5 LIMIT $2`,
    values: [iso(sinceMs), limit],
  });
  return rows.map(({ starts_at: startsAt, tenant_id: tenantId, ...rest }) => ({ ...rest, startsAt, tenantId }));
}

/** One usage row as its cost is checked. */
export interface CostedUsage {
  id: string;
  ts: Date;
  tenantId: string;
  operation: Operation;
  meters: Meters;
  priceVersionId: string | null;
  costNano: NanoUsd | null;
  components: Partial<Record<CostComponent | 'held', string>> | null;
}

/** The next rows after `after` in the order of (ts, id), from `sinceMs` on. */
export async function nextCostedUsage(tx: Transaction, sinceMs: number, after: { ts: Date; id: string } | undefined, limit: number): Promise<CostedUsage[]> {
  const { rows } = await tx.query<{
    id: string;
    ts: Date;
    tenant_id: string;
    operation: Operation;
    meters: Meters;
    price_version_id: string | null;
    cost_nano: NanoUsd | null;
    cost_components: CostedUsage['components'];
  }>({
    name: 'verify-usage-page',
    text: `SELECT id, ts, tenant_id, operation, meters, price_version_id, cost_nano, cost_components FROM usage_records
WHERE ts >= $1 AND (ts, id) > ($2::timestamptz, $3::uuid) ORDER BY ts, id LIMIT $4`,
    values: [iso(sinceMs), after ? after.ts.toISOString() : '-infinity', after?.id ?? TENANT_SCOPE, limit],
  });
  return rows.map((row) => ({
    id: row.id,
    ts: row.ts,
    tenantId: row.tenant_id,
    operation: row.operation,
    meters: row.meters,
    priceVersionId: row.price_version_id,
    costNano: row.cost_nano,
    components: row.cost_components,
  }));
}

/** Prices by id; those that were deleted with their route are missing. */
export async function readPriceVersions(tx: Transaction, ids: readonly string[]): Promise<Map<string, PriceVersion>> {
  const { rows } = await tx.query<
    Record<'id', string> & Record<'input' | 'output' | 'cached' | 'write' | 'reasoning' | 'image', string | null> & { tiers: PriceVersion['tiers'] }
  >({
    name: 'verify-prices',
    text: `SELECT id, price_input AS input, price_output AS output, price_cached_input AS cached, price_cache_write AS write, price_reasoning AS reasoning,
  price_image_cents AS image, tiers FROM price_versions WHERE id::text = ANY($1)`,
    values: [ids],
  });
  const known = (text: string | null) => text ?? undefined;
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        input: known(row.input),
        output: known(row.output),
        cachedInput: known(row.cached),
        cacheWrite: known(row.write),
        reasoning: known(row.reasoning),
        imageCents: known(row.image),
        tiers: row.tiers,
      },
    ]),
  );
}
