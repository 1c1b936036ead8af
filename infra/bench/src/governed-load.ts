import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startProcess, stopProcess } from '@omg/dev';
import { connectNats, usageBacklog } from '@omg/storage';
import { addCleanup, freePort, startStack, TEST_KEY, waitFor, type TestStack } from '@omg/testkit';
import pg from 'pg';
import { load, withCpu, type LoadOptions, type LoadResult } from './load.ts';
import { startStaticUpstream } from './nginx.ts';
import { cpuMicros, ownCpuMicros, residentBytes } from './processes.ts';
import { compactAppendOnlyFile } from './redis-server.ts';
import { seedKeys, type KeySeed } from './seed-keys.ts';
import { seedUsage } from './seed-usage.ts';

/**
 * Whole chat calls through the gateway and through an ungoverned proxy of the same runtime, and the booking of their usage: with ten
 * keys, with ten in a ledger of millions of rows, with a hundred thousand keys of few tenants, and with as many of ten thousand. The
 * gateway (or the proxy) has one core; everything else has the other.
 */
const GATEWAY_CORE = 0;
const OTHER_CORE = 1;
const CONNECTIONS = 32;
const WARM_UP_SECONDS = 4;
const SECONDS = 8;
const SEED_TENANTS = 1_000;
const SEED_DAYS = 90;
const FEW = { name: 'few', tenants: 1, keysPerTenant: 10 };
const MANY_KEYS = { name: 'keys', tenants: 10, keysPerTenant: 10_000 };
const MANY_TENANTS = { name: 'tenants', tenants: 10_000, keysPerTenant: 10 };
/** All keys of all parts. */
const KEY_CACHE_ENTRIES = 400_000;
/** At a time, until each of the many keys was called once. */
const FIRST_CALLS_SECONDS = 15;

const BODY = JSON.stringify({
  model: 'test-chat',
  messages: [{ role: 'user', content: 'Write a haiku about gateways, budgets and exact accounting.' }],
  max_tokens: 32,
});
const HEADERS = { 'content-type': 'application/json' };
const [SECRET_OF, SECRET] = TEST_KEY.replace('sk-', '').split('.') as [string, string];

export type Measured = LoadResult & { cpu: Record<string, number> };

/** CPU microseconds per booked event. */
export interface Booked {
  events: number;
  recorder: number;
  postgres: number;
}

export interface Governed {
  keys: number;
  tenants: number;
  /** In the ledger before the load. */
  rows: number;
  load: Measured;
  /** Of Redis's CPU per request, what its children took to rewrite the append-only file, in microseconds. */
  redisRewriting: number;
  booked: Booked;
  /** Resident memory of the edge after the load. */
  edgeMib: number;
}

export interface GovernedFigures {
  ungoverned: Measured;
  few: Governed;
  /** As `few`, with the rows in the ledger. */
  full: Governed;
  manyKeys: Governed;
  manyTenants: Governed;
}

interface Keys {
  tokens: readonly string[];
  tenants: number;
}

const pin = (core: number, pid: number): void => void execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
const send = (base: string, seconds: number, keys?: LoadOptions['keys']): Promise<LoadResult> =>
  load({ url: `${base}/v1/chat/completions`, connections: CONNECTIONS, seconds, headers: HEADERS, body: BODY, keys });

/** `rows`: how many usage rows to put into the ledger after the first part. */
export async function measureGoverned(rows: number, say: (line: string) => void): Promise<GovernedFigures> {
  pin(OTHER_CORE, process.pid);
  const upstream = await startStaticUpstream(OTHER_CORE);
  const ungoverned = await measureUngoverned(upstream.url);
  const stack = await startStack({
    upstreamUrl: `${upstream.url}/v1`,
    ownServers: ['postgres', 'redis'],
    // As in production: the tests' second would be most of what the recorder does for ten thousand tenants.
    config: { recorder: { reaper_interval: '15s' } },
    env: { ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn', ROUTER_EDGE_KEY_CACHE_ENTRIES: String(KEY_CACHE_ENTRIES) },
  });
  pin(GATEWAY_CORE, stack.edge.pid);
  const pool = new pg.Pool({ connectionString: stack.databaseUrl, max: 1 });
  // When something fails, the servers go first, and the failure is what should be seen.
  pool.on('error', () => undefined);
  const phase = async (keys: Keys, rowsBelow: number): Promise<Governed> => {
    const measured = await measurePhase(stack, pool, keys, rowsBelow);
    say(JSON.stringify(measured));
    return measured;
  };
  const fewKeys = await addKeys(stack, pool, FEW);
  const few = await phase(fewKeys, 0);
  await seedUsage(stack.databaseUrl, { rows, tenants: SEED_TENANTS, days: SEED_DAYS }, say);
  await projected(pool);
  const full = await phase(fewKeys, rows);
  const withMany = async (size: KeySeed): Promise<Governed> => {
    const keys = await addKeys(stack, pool, size);
    await callOnce(stack, keys.tokens);
    await settled(stack.natsUrl);
    return phase(keys, rows);
  };
  const manyKeys = await withMany(MANY_KEYS);
  const manyTenants = await withMany(MANY_TENANTS);
  await pool.end();
  return { ungoverned, few, full, manyKeys, manyTenants };
}

/** The first call of a key lets the edge read the key, and that of a tenant asks for its budget. */
async function callOnce(stack: TestStack, tokens: readonly string[]): Promise<void> {
  let called = 0;
  while (called < tokens.length) {
    const { requests, failures } = await send(stack.edge.url, FIRST_CALLS_SECONDS, { tokens: tokens.slice(called), order: 'in turn' });
    if (requests === 0 || failures > 0) throw new Error(`${failures} of ${requests} first calls failed`);
    called += requests;
  }
}

async function addKeys(stack: TestStack, pool: pg.Pool, size: KeySeed): Promise<Keys> {
  const tokens = await seedKeys(stack.databaseUrl, { ...size, secretOf: SECRET_OF, secret: SECRET });
  await projected(pool);
  return { tokens, tenants: size.tenants };
}

/** Waits until the new tenants and keys are where the edges read them. */
const projected = (pool: pg.Pool): Promise<unknown> =>
  waitFor(async () => (await count(pool, 'SELECT count(*)::text AS n FROM config_outbox')) === 0, {
    timeoutMs: 600_000,
    intervalMs: 500,
    what: 'the new tenants and keys to be projected',
  });

async function measureUngoverned(upstreamUrl: string): Promise<Measured> {
  const port = await freePort();
  const program = fileURLToPath(new URL('ungoverned-proxy.ts', import.meta.url));
  const proxy = await startProcess('taskset', ['-c', String(GATEWAY_CORE), process.execPath, program, String(port), upstreamUrl], { stdio: 'inherit' });
  addCleanup(() => stopProcess(proxy.identity, 'SIGTERM', 2_000).then(() => undefined));
  const url = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await fetch(`${url}/v1/chat/completions`, { method: 'POST', body: BODY })).ok, { what: 'the ungoverned proxy' });
  await send(url, WARM_UP_SECONDS);
  const measured = await withCpu({ gateway: proxy.identity.pid }, () => send(url, SECONDS));
  await stopProcess(proxy.identity, 'SIGTERM', 2_000);
  return measured;
}

/** Load with the recorder paused, then the recorder alone: so each is measured for itself. */
async function measurePhase(stack: TestStack, pool: pg.Pool, { tokens, tenants }: Keys, rowsBelow: number): Promise<Governed> {
  // What was seeded a moment ago has lain there for long in a real ledger: nobody vacuums it or writes it to disk during the calls.
  await pool.query('VACUUM (ANALYZE)');
  await pool.query('CHECKPOINT');
  // Compiled code that was not used for minutes is thrown away: edge and recorder are warmed up again.
  const warmUp = await send(stack.edge.url, WARM_UP_SECONDS, { tokens, order: 'random' });
  if (warmUp.failures > 0) throw new Error(`${warmUp.failures} of the first ${warmUp.requests} calls failed`);
  await settled(stack.natsUrl);
  await compactAppendOnlyFile(stack.redisUrl);
  const rows = await bookedRows(pool);
  stack.recorder.pause();
  const redisPid = stack.redis!.identity.pid;
  const pids = { gateway: stack.edge.pid, redis: redisPid, nats: stack.nats.identity.pid };
  const servedBefore = ownCpuMicros(redisPid);
  const measured = await withCpu(pids, () => send(stack.edge.url, SECONDS, { tokens, order: 'random' }));
  const redisServing = (ownCpuMicros(redisPid) - servedBefore) / measured.requests;
  const edgeMib = Math.round(residentBytes(stack.edge.pid) / 2 ** 20);
  const from = { recorder: cpuMicros(stack.recorder.pid), postgres: cpuMicros(stack.postgres!.identity.pid) };
  stack.recorder.resume();
  await settled(stack.natsUrl);
  const used = { recorder: cpuMicros(stack.recorder.pid) - from.recorder, postgres: cpuMicros(stack.postgres!.identity.pid) - from.postgres };
  const events = (await bookedRows(pool)) - rows;
  const booked = { events, recorder: used.recorder / events, postgres: used.postgres / events };
  return {
    keys: tokens.length,
    tenants,
    rows: rows + rowsBelow,
    load: measured,
    redisRewriting: measured.cpu['redis']! - redisServing,
    booked,
    edgeMib,
  };
}

async function count(pool: pg.Pool, text: string): Promise<number> {
  return Number((await pool.query<{ n: string }>(text)).rows[0]!.n);
}

/** By the rollups of the model that is called: there may be millions of other rows. */
const bookedRows = (pool: pg.Pool): Promise<number> =>
  count(pool, "SELECT coalesce(sum(requests), 0)::text AS n FROM usage_rollups WHERE model_alias = 'test-chat'");

/** Waits until everything in the stream is booked. The stream is asked, since asking the ledger would be measured as Postgres's work. */
async function settled(natsUrl: string): Promise<void> {
  const nats = connectNats({ url: natsUrl }, { name: 'bench' });
  let still = 0;
  const isSettled = async (): Promise<boolean> => {
    still = (await usageBacklog(await nats.connected())).oldestAtMs === undefined ? still + 1 : 0;
    return still >= 3;
  };
  await waitFor(isSettled, { intervalMs: 200, timeoutMs: 300_000, what: 'the recorder to book everything' });
  await nats.close();
}
