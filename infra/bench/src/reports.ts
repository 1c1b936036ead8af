import { cleanUp, createTestDatabase, createTestRedis, startNats, startPostgres, startRedis, startService, waitFor } from '@omg/testkit';
import pg from 'pg';
import { publish } from './report.ts';
import { seedUsage } from './seed-usage.ts';

/**
 * The reports of the admin API over five million usage rows and a thousand tenants, as a super admin asks for them: the
 * widest scope there is. Every request is a whole HTTP request with its token, user and session looked up.
 */
const ROWS = 5_000_000;
const TENANTS = 1_000;
const DAYS = 90;
const CALLS = 25;
const ADMIN = { email: 'bench@example.com', password: 'bench-admin-password' };

interface Figures {
  name: string;
  p50: number;
  p95: number;
}

async function main(): Promise<void> {
  const given = process.env['BENCH_DB_URL'];
  const databaseUrl = given ?? (await createTestDatabase({ serverUrl: (await startPostgres()).url })).url;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const seeded = await seededDatabase(databaseUrl, say);
  const redisUrl = given === undefined ? (await startRedis()).url : (await createTestRedis()).url;
  const admin = await startService('admin-api', {
    ROUTER_PROFILE: 'development',
    ROUTER_DB_URL: databaseUrl,
    ROUTER_REDIS_URL: redisUrl,
    ROUTER_NATS_URL: (await startNats()).url,
    ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn',
    ROUTER_OBSERVABILITY_ENABLE_OTLP: 'false',
    ROUTER_BOOTSTRAP_ADMIN_USERS: JSON.stringify([{ ...ADMIN, name: 'Bench' }]),
  });
  const token = await signIn(admin.url);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const builtInS = await waitForDays(pool);
  const { rows } = await pool.query<{ tenant: string; key: string; user: string }>(
    `SELECT k.tenant_id AS tenant, k.id AS key, k.owner_user_id AS user FROM usage_days d JOIN api_keys k ON k.id = d.entity::uuid
     WHERE d.kind = 'api_key' AND k.owner_user_id IS NOT NULL GROUP BY k.id ORDER BY sum(d.requests) DESC LIMIT 1`,
  );
  await pool.end();
  const figures = [];
  for (const [name, path] of reports(rows[0]!)) figures.push(await measure(name, `${admin.url}${path}`, token));
  report(figures, seeded, builtInS);
}

/** The reports with their default ranges, for the largest tenant, key and user. */
function reports(largest: { tenant: string; key: string; user: string }): [string, string][] {
  return [
    ['summary, 7 days', '/admin/usage/summary'],
    ['summary, 90 days', '/admin/usage/summary?period=90d'],
    ['breakdown by tenant, 30 days', '/admin/usage/breakdown?group=tenant'],
    ['breakdown by model, 30 days', '/admin/usage/breakdown?group=model'],
    ['breakdown by user, 30 days', '/admin/usage/breakdown?group=user'],
    ['breakdown by key, 30 days', '/admin/usage/breakdown?group=api_key'],
    [
      'comparison of a tenant, three models and a user',
      `/admin/usage/compare?tenant_ids=${largest.tenant}&model_aliases=model-1,model-2,model-3&user_ids=${largest.user}`,
    ],
    ['days of the largest tenant', `/admin/usage/tenant/daily?tenant_id=${largest.tenant}&period=30d`],
    ['days of the largest user', `/admin/usage/user/daily?user_id=${largest.user}`],
    ['days of the largest model with its 50 dearest tenants', '/admin/usage/model/daily?model_alias=model-1'],
    ['days of the largest key', `/admin/tenants/${largest.tenant}/api-keys/${largest.key}/usage`],
    ['keys, first page', '/admin/usage/api-keys'],
    ['anomalies of tenants, 30 days', '/admin/usage/anomalies'],
    ['anomalies of models, 30 days', '/admin/usage/anomalies?group=model'],
    ['anomalies of users, 30 days', '/admin/usage/anomalies?group=user'],
    ['anomalies of keys, 30 days', '/admin/usage/anomalies?group=api_key'],
    ['spend history of the largest tenant, 12 windows', `/admin/budgets/history?tenant_id=${largest.tenant}`],
    ['alert history', '/admin/budgets/alerts'],
    ['request log, first page', '/admin/usage/requests?period=7d'],
    ['request log of the largest tenant', `/admin/usage/requests?period=30d&tenant_id=${largest.tenant}`],
  ];
}

async function seededDatabase(databaseUrl: string, say: (line: string) => void): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const counts = async (): Promise<string> => {
    const { rows } = await client.query<{ usage: string; rollups: string; tenants: string }>(
      'SELECT (SELECT count(*) FROM usage_records) AS usage, (SELECT count(*) FROM usage_rollups) AS rollups, (SELECT count(*) FROM tenants) AS tenants',
    );
    return `${Number(rows[0]!.usage).toLocaleString('en')} usage rows in ${Number(rows[0]!.rollups).toLocaleString('en')} rollup rows of ${rows[0]!.tenants} tenants over ${DAYS} days`;
  };
  const { rows } = await client.query('SELECT 1 FROM usage_rollups LIMIT 1');
  if (rows.length === 0) await seedUsage(databaseUrl, { rows: ROWS, tenants: TENANTS, days: DAYS }, say);
  const text = await counts();
  await client.end();
  return text;
}

async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/admin/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(ADMIN) });
  if (!response.ok) throw new Error(`signing in answered ${response.status}`);
  return ((await response.json()) as { access_token: string }).access_token;
}

/** Waits until the job has summed the closed days. */
async function waitForDays(pool: pg.Pool): Promise<number> {
  const started = Date.now();
  await waitFor(async () => ((await pool.query('SELECT 1 FROM usage_days_built OFFSET $1', [DAYS - 2])).rowCount ?? 0) > 0, {
    intervalMs: 1000,
    timeoutMs: 900_000,
    what: 'the days to be summed',
  });
  await pool.query('ANALYZE usage_days; ANALYZE usage_days_built');
  return Math.round((Date.now() - started) / 1000);
}

async function measure(name: string, url: string, token: string): Promise<Figures> {
  const times: number[] = [];
  for (let call = 0; call < CALLS + 2; call++) {
    const started = performance.now();
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    await response.text();
    if (!response.ok) throw new Error(`${name} answered ${response.status}`);
    // The first calls fill Postgres's cache and warm the compiler.
    if (call >= 2) times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return { name, p50: times[CALLS >> 1]!, p95: times[Math.floor(CALLS * 0.95)]! };
}

function report(figures: readonly Figures[], seeded: string, builtInS: number): void {
  const slow = figures.filter(({ p50 }) => p50 >= 100).map(({ name }) => name);
  publish({
    name: 'reports',
    title: 'Reports over five million usage rows',
    method: [
      `${seeded}; the largest tenant has some 3 % of the rows. Asked by a super admin over all tenants, one request after the other, ${CALLS} times each, the whole HTTP request.`,
      'Closed days are read from their sums; today, and the part of the first day that a rolling range begins in, from the 15-minute rollups.',
      'Anomalies keep the closed days of a range in memory after the first call, which is not among the measured ones.',
    ],
    columns: ['report', 'median ms', '95th percentile ms'],
    rows: figures.map(({ name, p50, p95 }) => [name, p50.toFixed(1), p95.toFixed(1)]),
    findings: [
      slow.length === 0 ? 'Every report is under 100 ms at the median.' : `Over 100 ms at the median: ${slow.join(', ')}.`,
      // A database of an earlier run has them already.
      ...(builtInS > 0 ? [`The job that sums closed days needed ${builtInS} s for ${DAYS} days after the start; from then on it sums one day a day.`] : []),
    ],
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
