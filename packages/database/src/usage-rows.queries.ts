import type { UsageEvent } from '@omg/contracts';
import { plainArray, textArray, timeArray } from './array-text.js';
import type { Transaction } from './transactions.js';

/**
 * One usage row, one request row, or both, with what booking them needs to know. A request of which several attempts were billed
 * is several bookings: its request row, and a usage row for each of the attempts.
 */
export interface Booking {
  event: UsageEvent;
  /** Set for a billed attempt beside the one that stands for the request: the request's id. */
  attemptOf: string | undefined;
  /** Its request row is written too. */
  withRequest: boolean;
  /** Time inside the event's id: the rows' partition. */
  tsMs: number;
  /** The time it counts at; see `usage_records.booked_at`. */
  bookedAtMs: number;
  /** It consumed something: it gets a usage row and counts in rollups and budgets. */
  billable: boolean;
  /** Window of the tenant's budget that it was admitted in. */
  windowId: string;
}

const COLUMNS = [
  'id uuid',
  'attempt_of uuid',
  'with_request boolean',
  'ts timestamptz',
  'tenant_id uuid',
  'api_key_id uuid',
  'trace_id text',
  'operation text',
  'model_alias text',
  'route_id text',
  'provider text',
  'provider_model text',
  'stream boolean',
  'status smallint',
  'error_code text',
  'latency_ms int',
  'ttft_ms int',
  'attempts text',
  'input_tokens int',
  'output_tokens int',
  'cached_input_tokens int',
  'cache_write_tokens int',
  'reasoning_tokens int',
  'images int',
  'meters text',
  'usage_source text',
  'price_version_id text',
  'cost_nano bigint',
  'cost_components text',
  'budget_window_id text',
  'booked_at timestamptz',
  'idempotency_key text',
  'billable boolean',
] as const;

const arrays = COLUMNS.map((column, index) => `$${index + 1}::${column.split(' ')[1]}[]`).join(', ');
const names = COLUMNS.map((column) => column.split(' ')[0]).join(', ');
const isText = COLUMNS.map((column) => column.endsWith(' text'));
/** The bookings as a table `e`, from the parameters that `bookingValues` makes. */
export const bookingColumns = `unnest(${arrays}) AS e(${names})`;

/** Ids in order, so that two recorders that book the same events wait for each other instead of deadlocking. */
const insertUsageText = (withRequests: boolean) => `
WITH event AS MATERIALIZED (SELECT * FROM ${bookingColumns} ORDER BY id)${
  withRequests
    ? `,
request AS (
  INSERT INTO requests (id, ts, tenant_id, api_key_id, trace_id, operation, model_alias, route_id, provider, stream, status, error_code,
    latency_ms, ttft_ms, attempts, input_tokens, output_tokens, cost_nano, idempotency_key)
  SELECT id, ts, tenant_id, api_key_id, trace_id, operation, model_alias, route_id, provider, stream, status, error_code,
    latency_ms, ttft_ms, attempts::jsonb, input_tokens, output_tokens, cost_nano, idempotency_key
  FROM event WHERE with_request ON CONFLICT DO NOTHING
)`
    : ''
}
INSERT INTO usage_records (id, attempt_of, ts, tenant_id, api_key_id, operation, model_alias, provider, provider_model, route_id, input_tokens,
  output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, images, meters, usage_source, price_version_id, cost_nano,
  cost_components, budget_window_id, booked_at)
SELECT id, attempt_of, ts, tenant_id, api_key_id, operation, model_alias, provider, provider_model, route_id, input_tokens,
  output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, images, meters::jsonb, usage_source, price_version_id, cost_nano,
  cost_components::jsonb, budget_window_id, booked_at
FROM event WHERE billable ON CONFLICT DO NOTHING
RETURNING id`;

const INSERT_WITH_REQUESTS = { name: 'usage-insert', text: insertUsageText(true) };
const INSERT_USAGE_ONLY = { name: 'usage-insert-only', text: insertUsageText(false) };

/**
 * Inserts the rows of the bookings and returns the ids of the usage rows that were not there yet. `keepRequests: false`
 * leaves out the `requests` rows (zero retention).
 */
export async function insertUsage(tx: Transaction, bookings: readonly Booking[], keepRequests: boolean): Promise<Set<string>> {
  const values = bookingValues(bookings);
  const { rows } = await tx.query<{ id: string }>({ ...(keepRequests ? INSERT_WITH_REQUESTS : INSERT_USAGE_ONLY), values });
  return new Set(rows.map((row) => row.id));
}

/** One array per column, as the text that Postgres reads. */
export function bookingValues(bookings: readonly Booking[]): string[] {
  const values: unknown[][] = COLUMNS.map(() => []);
  for (const booking of bookings) {
    const row = toRow(booking);
    for (let column = 0; column < values.length; column++) values[column]!.push(row[column]);
  }
  return values.map((column, index) => (isText[index] ? textArray(column as (string | null)[]) : plainArray(column)));
}

function toRow({ event, attemptOf, withRequest, tsMs, bookedAtMs, billable, windowId }: Booking): unknown[] {
  const { meters } = event;
  return [
    event.id,
    attemptOf ?? null,
    withRequest,
    new Date(tsMs).toISOString(),
    event.tenantId,
    event.apiKeyId,
    event.requestId,
    event.operation,
    event.modelAlias,
    event.routeId ?? null,
    event.provider,
    event.providerModel ?? null,
    event.stream,
    event.status,
    event.errorCode ?? null,
    Math.round(event.latencyMs),
    event.ttftMs === undefined ? null : Math.round(event.ttftMs),
    event.attempts === undefined ? null : JSON.stringify(event.attempts),
    meters.inputTokens,
    meters.outputTokens,
    meters.cachedInputTokens ?? 0,
    meters.cacheWriteTokens ?? 0,
    meters.reasoningTokens ?? 0,
    meters.images ?? 0,
    JSON.stringify(meters),
    event.usageSource,
    event.priceVersionId ?? null,
    event.costNano,
    event.costComponents === undefined ? null : JSON.stringify(event.costComponents),
    windowId,
    new Date(bookedAtMs).toISOString(),
    event.idempotencyKey ?? null,
    billable,
  ];
}

/** Sums of the bookings of one 15-minute bucket, key, model and provider. */
export interface RollupDelta {
  bucketMs: number;
  tenantId: string;
  apiKeyId: string;
  modelAlias: string;
  provider: string;
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  reasoningTokens: number;
  images: number;
  costNano: bigint;
  unpriced: number;
}

const ADD_ROLLUPS = {
  name: 'usage-rollups',
  text: `
INSERT INTO usage_rollups AS r (bucket, tenant_id, api_key_id, model_alias, provider, requests, input_tokens, output_tokens,
  cached_input_tokens, reasoning_tokens, images, cost_nano, unpriced)
SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[]) AS d(bucket, tenant_id, api_key_id, model_alias, provider)
ORDER BY tenant_id, bucket, api_key_id, model_alias, provider
ON CONFLICT (tenant_id, bucket, api_key_id, model_alias, provider) DO UPDATE SET
  requests = r.requests + EXCLUDED.requests,
  input_tokens = r.input_tokens + EXCLUDED.input_tokens,
  output_tokens = r.output_tokens + EXCLUDED.output_tokens,
  cached_input_tokens = r.cached_input_tokens + EXCLUDED.cached_input_tokens,
  reasoning_tokens = r.reasoning_tokens + EXCLUDED.reasoning_tokens,
  images = r.images + EXCLUDED.images,
  cost_nano = r.cost_nano + EXCLUDED.cost_nano,
  unpriced = r.unpriced + EXCLUDED.unpriced`,
};

export async function addRollups(tx: Transaction, deltas: readonly RollupDelta[]): Promise<void> {
  await tx.query({
    ...ADD_ROLLUPS,
    values: [
      timeArray(deltas.map((d) => d.bucketMs)),
      plainArray(deltas.map((d) => d.tenantId)),
      plainArray(deltas.map((d) => d.apiKeyId)),
      textArray(deltas.map((d) => d.modelAlias)),
      textArray(deltas.map((d) => d.provider)),
      plainArray(deltas.map((d) => d.requests)),
      plainArray(deltas.map((d) => d.inputTokens)),
      plainArray(deltas.map((d) => d.outputTokens)),
      plainArray(deltas.map((d) => d.cachedInputTokens)),
      plainArray(deltas.map((d) => d.reasoningTokens)),
      plainArray(deltas.map((d) => d.images)),
      plainArray(deltas.map((d) => d.costNano)),
      plainArray(deltas.map((d) => d.unpriced)),
    ],
  });
}

const TOUCH_KEYS = {
  name: 'usage-touch-keys',
  text: `
UPDATE api_keys k SET last_used_at = u.used_at
FROM (
  SELECT k.id, u.used_at FROM api_keys k JOIN unnest($1::uuid[], $2::timestamptz[]) AS u(id, used_at) ON u.id = k.id
  WHERE k.last_used_at IS NULL OR k.last_used_at < u.used_at - $3 * interval '1 millisecond'
  ORDER BY k.id FOR NO KEY UPDATE OF k SKIP LOCKED
) u
WHERE k.id = u.id`,
};

/**
 * Notes the last use of keys, where what is noted is older than `stepMs`. A key that somebody else is changing is skipped: its next use
 * will be noted.
 */
export async function touchKeys(tx: Transaction, lastUseMs: ReadonlyMap<string, number>, stepMs: number): Promise<void> {
  if (lastUseMs.size === 0) return;
  await tx.query({ ...TOUCH_KEYS, values: [plainArray([...lastUseMs.keys()]), timeArray([...lastUseMs.values()]), stepMs] });
}
