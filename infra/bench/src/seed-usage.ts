import pg from 'pg';

/**
 * Fills a migrated database with usage as a year-old installation has it: tenants of very different sizes, a few keys each,
 * a dozen models, rows over the last days. Everything is made by Postgres from a fixed seed, so two runs are alike. Usage
 * that is there already stays as it is.
 *
 * `node infra/bench/src/seed-usage.ts <rows> <tenants> <days>` with ROUTER_DB_URL set.
 */
export interface SeedOptions {
  rows: number;
  tenants: number;
  days: number;
}

export interface SeedResult {
  usageRows: number;
  rollupRows: number;
  requestRows: number;
  seconds: number;
}

const KEYS_PER_TENANT = 3;
/** Rows per statement: bounds what one statement keeps and lets progress be seen. */
const CHUNK_ROWS = 250_000;
const REQUEST_DAYS = 30;

/** Small tenants are many and large ones few: the largest has some 3 % of the rows. */
const TENANT_SKEW = 2;

export async function seedUsage(databaseUrl: string, options: SeedOptions, say: (line: string) => void): Promise<SeedResult> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const started = Date.now();
  try {
    await client.query("SET synchronous_commit = off; SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SELECT setseed(0.42)");
    await seedTenants(client, options);
    for (let from = 1; from <= options.rows; from += CHUNK_ROWS) {
      await client.query(USAGE_ROWS, [from, Math.min(from + CHUNK_ROWS - 1, options.rows), options.tenants, options.days]);
      say(`${Math.min(from + CHUNK_ROWS - 1, options.rows)} usage rows`);
    }
    const requests = await client.query(REQUEST_ROWS, [REQUEST_DAYS]);
    say('rolling up');
    const rollups = await client.query(ROLLUPS);
    await client.query(BUDGET_TOTALS);
    await client.query('ANALYZE usage_records; ANALYZE usage_rollups; ANALYZE budget_totals; ANALYZE requests; ANALYZE api_keys; ANALYZE tenants');
    return {
      usageRows: options.rows,
      rollupRows: rollups.rowCount ?? 0,
      requestRows: requests.rowCount ?? 0,
      seconds: Math.round((Date.now() - started) / 1000),
    };
  } finally {
    await client.end();
  }
}

/** A version 4 UUID out of a text, always the same one. */
export const uuidOf = (text: string): string => `overlay(overlay(md5(${text}) PLACING '4' FROM 13) PLACING '8' FROM 17)::uuid`;
const tenantUuid = (n: string): string => uuidOf(`'tenant' || ${n}`);
const userUuid = (n: string): string => uuidOf(`'user' || ${n}`);
const keyUuid = (n: string, k: string): string => uuidOf(`'key' || ${n} || '-' || ${k}`);

async function seedTenants(client: pg.Client, { tenants }: SeedOptions): Promise<void> {
  await client.query(`INSERT INTO tenants (id, name, updated_at) SELECT ${tenantUuid('n')}, 'tenant ' || n, now() FROM generate_series(1, $1::int) n`, [
    tenants,
  ]);
  await client.query(
    `INSERT INTO users (id, email, name, updated_at) SELECT ${userUuid('n')}, 'user' || n || '@example.com', 'User ' || n, now() FROM generate_series(1, $1::int) n`,
    [tenants],
  );
  await client.query(
    `INSERT INTO api_keys (id, tenant_id, owner_user_id, prefix, secret_digest, last_four, name, updated_at)
     SELECT ${keyUuid('n', 'k')}, ${tenantUuid('n')}, CASE WHEN k = 1 THEN ${userUuid('n')} END, 'bench' || n || 'x' || k, sha256(('key' || n || 'x' || k)::bytea), '0000', 'key ' || k, now()
     FROM generate_series(1, $1::int) n, generate_series(1, ${KEYS_PER_TENANT}) k`,
    [tenants],
  );
}

/** An id whose first 48 bits are the row's time, as the gateway makes them. */
const UUID_V7 = `(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid`;

const USAGE_ROWS = `
WITH drawn AS (
  SELECT i, md5('row' || i) AS h, 1 + floor($3::int * power(random(), ${TENANT_SKEW}))::int AS n, 1 + floor(random() * ${KEYS_PER_TENANT})::int AS k,
    1 + floor(12 * power(random(), 2))::int AS m, date_trunc('milliseconds', now() - random() * make_interval(days => $4::int)) AS at,
    50 + floor(random() * 4000)::int AS input, 20 + floor(random() * 1500)::int AS output
  FROM generate_series($1::int, $2::int) i
)
INSERT INTO usage_records (id, ts, booked_at, tenant_id, api_key_id, operation, model_alias, provider, input_tokens, output_tokens, meters, usage_source, cost_nano)
SELECT ${UUID_V7}, at, at, ${tenantUuid('n')}, ${keyUuid('n', 'k')}, 'chat', 'model-' || m, 'provider-' || (1 + m % 4), input, output, '{}', 'provider', (input * 150 + output * 600) * m
FROM drawn`;

const REQUEST_ROWS = `
INSERT INTO requests (id, ts, tenant_id, api_key_id, trace_id, operation, model_alias, provider, stream, status, latency_ms, input_tokens, output_tokens, cost_nano)
SELECT id, ts, tenant_id, api_key_id, 'bench-' || id, operation, model_alias, provider, false, 200, 300 + input_tokens % 900, input_tokens, output_tokens, cost_nano
FROM usage_records WHERE ts > now() - make_interval(days => $1::int) AND provider LIKE 'provider-%'`;

/** In the order of time, as the recorder writes them: a day's rows lie together. */
const ROLLUPS = `
INSERT INTO usage_rollups (bucket, tenant_id, api_key_id, model_alias, provider, requests, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, images, cost_nano, unpriced)
SELECT date_bin('15 minutes', booked_at, 'epoch'), tenant_id, api_key_id, model_alias, provider, count(*), sum(input_tokens), sum(output_tokens), 0, 0, 0, coalesce(sum(cost_nano), 0), 0
FROM usage_records WHERE provider LIKE 'provider-%' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1`;

/** Of the running month, for tenants (whose scope is the empty id) and keys, as the recorder keeps them. */
const BUDGET_TOTALS = `
INSERT INTO budget_totals (tenant_id, api_key_id, window_id, window_start, window_end, spent_nano, requests, tokens)
SELECT tenant_id, coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'), 'calendar_month:' || to_char(m.starts AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
  m.starts, m.ends, sum(cost_nano), sum(requests), sum(input_tokens + output_tokens)
FROM usage_rollups CROSS JOIN (
  SELECT date_trunc('month', now(), 'UTC') AS starts, date_trunc('month', now(), 'UTC') + interval '1 month' AS ends
) m WHERE bucket >= m.starts AND bucket < m.ends AND provider LIKE 'provider-%'
GROUP BY m.starts, m.ends, GROUPING SETS ((tenant_id), (tenant_id, api_key_id))
ON CONFLICT DO NOTHING`;

if (import.meta.main) {
  const [rows = 5_000_000, tenants = 1_000, days = 90] = process.argv.slice(2).map(Number);
  const url = process.env['ROUTER_DB_URL'];
  if (!url) throw new Error('set ROUTER_DB_URL to a migrated database');
  const result = await seedUsage(url, { rows, tenants, days }, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
