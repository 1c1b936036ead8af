import { ATTEMPT_LOST } from '@omg/contracts';
import type { Meters, NanoUsd } from '@omg/domain';
import type { Transaction } from './transactions.js';
import { bookingColumns, bookingValues, type Booking } from './usage-rows.queries.js';

/**
 * The exact end of a call that the reaper had booked by estimate, since its edge was out of reach for longer than the
 * lease. It takes the estimate's place once: the row is locked, and once it is replaced it is no estimate of the reaper any
 * more, so a second delivery, or a second recorder, finds nothing to replace.
 */

/** A row as it was before it was replaced: what the sums beside the rows have to give back. */
export interface ReplacedUsage {
  id: string;
  tenantId: string;
  apiKeyId: string;
  modelAlias: string;
  provider: string;
  bookedAtMs: number;
  /** What it counts as: an estimate stands for one request. */
  requests: number;
  meters: Pick<Meters, 'inputTokens' | 'outputTokens' | 'cachedInputTokens' | 'reasoningTokens' | 'images'>;
  costNano: NanoUsd | null;
}

/**
 * The reaper books what was held, as one component of the cost; without a price nothing was held and the cost is unknown.
 * An edge's own estimate without a price looks the same, and is replaced by itself, which changes no sum.
 */
const IS_REAPED = "u.usage_source = 'estimate' AND (u.cost_components ? 'held' OR u.cost_nano IS NULL)";

const LOCK_ESTIMATES = {
  name: 'usage-lock-estimates',
  text: `
SELECT u.id, u.tenant_id, u.api_key_id, u.model_alias, u.provider, u.booked_at, u.input_tokens, u.output_tokens, u.cached_input_tokens,
  u.reasoning_tokens, u.images, u.cost_nano
FROM usage_records u JOIN unnest($1::uuid[], $2::timestamptz[]) AS e(id, ts) ON u.id = e.id AND u.ts = e.ts
WHERE ${IS_REAPED} ORDER BY u.id FOR NO KEY UPDATE OF u`,
};

interface EstimateRow extends Record<string, unknown> {
  id: string;
  tenant_id: string;
  api_key_id: string;
  model_alias: string;
  provider: string;
  booked_at: Date;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  reasoning_tokens: number;
  images: number;
  cost_nano: bigint | null;
}

/** Locks, in one order for all recorders, those of the events' rows that are the reaper's estimates, and tells what they hold. */
export async function lockEstimates(tx: Transaction, events: readonly Pick<Booking, 'event' | 'tsMs'>[]): Promise<ReplacedUsage[]> {
  const { rows } = await tx.query<EstimateRow>({ ...LOCK_ESTIMATES, values: keysOf(events) });
  return rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    apiKeyId: row.api_key_id,
    modelAlias: row.model_alias,
    provider: row.provider,
    bookedAtMs: row.booked_at.getTime(),
    requests: 1,
    meters: {
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cachedInputTokens: row.cached_input_tokens,
      reasoningTokens: row.reasoning_tokens,
      images: row.images,
    },
    costNano: row.cost_nano,
  }));
}

/** Each key once: a request of several billed attempts is several bookings. */
function keysOf(bookings: readonly Pick<Booking, 'event' | 'tsMs'>[]): unknown[][] {
  const keys = new Map(bookings.map(({ event, tsMs }) => [event.id, new Date(tsMs).toISOString()]));
  return [[...keys.keys()], [...keys.values()]];
}

const USAGE_COLUMNS = [
  'tenant_id',
  'api_key_id',
  'operation',
  'model_alias',
  'provider',
  'provider_model',
  'route_id',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'images',
  'usage_source',
  'price_version_id',
  'cost_nano',
  'budget_window_id',
  'booked_at',
] as const;
const REQUEST_COLUMNS = [
  'provider',
  'route_id',
  'stream',
  'status',
  'error_code',
  'latency_ms',
  'ttft_ms',
  'input_tokens',
  'output_tokens',
  'cost_nano',
  'idempotency_key',
] as const;
const assign = (columns: readonly string[]): string => columns.map((column) => `${column} = e.${column}`).join(', ');

const REPLACE_ESTIMATES = {
  name: 'usage-replace-estimates',
  text: `
WITH event AS MATERIALIZED (SELECT * FROM ${bookingColumns}),
request AS (
  UPDATE requests r SET ${assign(REQUEST_COLUMNS)}, attempts = e.attempts::jsonb
  FROM event e WHERE e.with_request AND r.id = e.id AND r.ts = e.ts AND r.error_code = '${ATTEMPT_LOST}'
)
UPDATE usage_records u SET ${assign(USAGE_COLUMNS)}, meters = e.meters::jsonb, cost_components = e.cost_components::jsonb
FROM event e WHERE e.billable AND u.id = e.id AND u.ts = e.ts`,
};

/** Puts the bookings in the place of rows that this transaction has locked: the billable ones of usage rows, those with a request of request rows. */
export async function replaceEstimates(tx: Transaction, bookings: readonly Booking[]): Promise<void> {
  await tx.query({ ...REPLACE_ESTIMATES, values: bookingValues(bookings) });
}

const TOLD_OTHERWISE = {
  name: 'usage-told-otherwise',
  text: `
SELECT r.id FROM requests r JOIN unnest($1::uuid[], $2::timestamptz[]) AS e(id, ts) ON r.id = e.id AND r.ts = e.ts
WHERE r.error_code IS DISTINCT FROM '${ATTEMPT_LOST}'`,
};

/** Those of the reaper's estimates whose edge has told how the call ended: also one that consumed nothing, which has no usage row. */
export async function toldOtherwise(tx: Transaction, estimates: readonly Pick<Booking, 'event' | 'tsMs'>[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ id: string }>({ ...TOLD_OTHERWISE, values: keysOf(estimates) });
  return new Set(rows.map((row) => row.id));
}

const DELETE_EMPTY = {
  name: 'usage-delete-empty-rollups',
  text: `
DELETE FROM usage_rollups r
USING unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[]) AS d(tenant_id, at, api_key_id, model_alias, provider)
WHERE r.tenant_id = d.tenant_id AND r.bucket = date_bin('15 minutes', d.at, 'epoch') AND r.api_key_id = d.api_key_id
  AND r.model_alias = d.model_alias AND r.provider = d.provider
  AND (r.requests, r.input_tokens, r.output_tokens, r.cached_input_tokens, r.reasoning_tokens, r.images, r.cost_nano, r.unpriced) = (0, 0, 0, 0, 0, 0, 0, 0)`,
};

/** A bucket whose only row moved to another provider or model is gone, as if it had never been. The caller changed, and so holds, these rows. */
export async function deleteEmptyRollups(tx: Transaction, replaced: readonly ReplacedUsage[]): Promise<void> {
  await tx.query({
    ...DELETE_EMPTY,
    values: [
      replaced.map((row) => row.tenantId),
      replaced.map((row) => new Date(row.bookedAtMs).toISOString()),
      replaced.map((row) => row.apiKeyId),
      replaced.map((row) => row.modelAlias),
      replaced.map((row) => row.provider),
    ],
  });
}
