import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { cpus } from 'node:os';
import { encodeUsageEvent, type UsageEvent } from '@omg/contracts';
import { uuidV7 } from '@omg/domain';
import { connectNats, ensureUsageStreams, publishUsageBatch, usageBacklog, type NatsClient } from '@omg/storage';
import { cleanUp, createTestDatabase, startNats, startPostgres, startRedis, startService, waitFor } from '@omg/testkit';
import pg from 'pg';
import { withCpu } from './load.ts';
import { publish } from './report.ts';
import { seedKeys } from './seed-keys.ts';

/**
 * How many usage events one recorder commits per second: the stream is filled first, then a recorder starts on a core of
 * its own and books until the stream is empty. Postgres, Redis and NATS share the other core, Postgres with durable
 * commits.
 */
const RECORDER_CORE = 0;
const OTHER_CORE = 1;
const FEW = { name: 'few', tenants: 50, keysPerTenant: 4 };
const MANY = { name: 'many', tenants: 10_000, keysPerTenant: 10 };
const MODELS = 5;
const BUCKET_MS = 15 * 60_000;
const SMALL_EVENTS = 60_000;
const LARGE_EVENTS = 200_000;
const MANY_EVENTS = MANY.tenants * MANY.keysPerTenant;

interface Caller {
  tenantId: string;
  apiKeyId: string;
}

/** What lies in the stream. */
interface Load {
  callers: readonly Caller[];
  models: number;
  events: number;
  perBatch: number;
  /** All of it: the bucket of the rollups. */
  atMs: number;
}

const windowId = `calendar_month:${new Date().toISOString().slice(0, 7)}-01`;

function event({ callers, models, atMs }: Load, index: number): UsageEvent {
  return {
    v: 1,
    id: uuidV7(atMs, randomBytes(10)),
    requestId: randomUUID(),
    ...callers[index % callers.length]!,
    operation: 'chat',
    modelAlias: `model-${index % models}`,
    routeId: '00000000-0000-4000-8000-000000000001',
    provider: 'openai-compatible',
    providerModel: 'test',
    stream: index % 2 === 0,
    status: 200,
    latencyMs: 321.4,
    ttftMs: 45.6,
    meters: { inputTokens: 812, outputTokens: 143, cachedInputTokens: 512 },
    usageSource: 'provider',
    priceVersionId: '00000000-0000-4000-8000-000000000002',
    costNano: '1234567',
    costComponents: { input: '300000', cached_input: '34567', output: '900000' },
    holdNano: '2000000',
    windows: { schedule: 'calendar_month', tenant: windowId },
    endedAtMs: atMs,
  };
}

/** Tenants with keys in the database, and their keys in no order. */
async function addCallers(pool: pg.Pool, databaseUrl: string, size: typeof FEW): Promise<Caller[]> {
  await seedKeys(databaseUrl, size);
  const { rows } = await pool.query<Caller>('SELECT tenant_id AS "tenantId", id AS "apiKeyId" FROM api_keys WHERE prefix LIKE $1 ORDER BY id', [
    `${size.name}%`,
  ]);
  return rows;
}

async function fill(nats: NatsClient, load: Load): Promise<void> {
  const { events, perBatch } = load;
  let pending: Promise<void>[] = [];
  for (let from = 0; from < events; from += perBatch) {
    const batch = {
      batchId: randomUUID(),
      edgeId: 'bench',
      events: Array.from({ length: Math.min(perBatch, events - from) }, (_, i) => encodeUsageEvent(event(load, from + i))),
    };
    pending.push(publishUsageBatch(nats, batch, 30_000));
    if (pending.length < 64) continue;
    await Promise.all(pending);
    pending = [];
  }
  await Promise.all(pending);
}

interface Figures {
  load: Load;
  events: number;
  seconds: number;
  /** Microseconds per event. */
  cpu: Record<string, number>;
}

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  execFileSync('taskset', ['-acp', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
  const postgres = await startPostgres({ durable: true });
  const redis = await startRedis();
  const natsServer = await startNats();
  const database = await createTestDatabase({ serverUrl: postgres.url });
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const nats = connectNats({ url: natsServer.url }, { name: 'bench' });
  const connection = await nats.connected();
  await ensureUsageStreams(connection, { maxBytes: 2 ** 31, replicas: 1 });
  const env = {
    ROUTER_PROFILE: 'development',
    ROUTER_DB_URL: database.url,
    ROUTER_REDIS_URL: redis.url,
    ROUTER_NATS_URL: natsServer.url,
    ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn',
    ROUTER_OBSERVABILITY_ENABLE_OTLP: 'false',
  };
  let booked = 0;

  const measure = async (load: Load): Promise<Figures> => {
    const { events } = load;
    await fill(nats, load);
    const recorder = await startService('usage-recorder', env, { readyPath: null });
    execFileSync('taskset', ['-acp', String(RECORDER_CORE), String(recorder.pid)], { stdio: 'ignore' });
    const rows = async (): Promise<number> =>
      Number((await pool.query<{ n: string }>('SELECT coalesce(sum(requests), 0)::text AS n FROM usage_rollups')).rows[0]!.n);
    // The start of the process is not what is measured.
    const first = await waitFor(async () => ((await rows()) > booked ? { rows: await rows(), at: performance.now() } : undefined), {
      intervalMs: 5,
      timeoutMs: 60_000,
    });
    const left = booked + events - first.rows;
    const { cpu } = await withCpu(
      { recorder: recorder.pid, postgres: postgres.identity.pid, redis: redis.identity.pid, nats: natsServer.identity.pid },
      async () => {
        await waitFor(async () => (await usageBacklog(connection)).oldestAtMs === undefined, { intervalMs: 20, timeoutMs: 300_000 });
        return { requests: left };
      },
    );
    const seconds = (performance.now() - first.at) / 1_000;
    booked += events;
    if ((await rows()) !== booked) throw new Error(`${await rows()} events are booked instead of ${booked}`);
    await recorder.stop();
    return { load, events: left, seconds, cpu };
  };

  const atMs = Date.now();
  const few = { callers: await addCallers(pool, database.url, FEW), models: MODELS, atMs };
  const many = { callers: await addCallers(pool, database.url, MANY), models: 1, events: MANY_EVENTS, perBatch: 128 };
  await measure({ ...few, events: 20_000, perBatch: 128 }); // warms Postgres
  report([
    ['', await measure({ ...few, events: SMALL_EVENTS, perBatch: 8 })],
    ['', await measure({ ...few, events: LARGE_EVENTS, perBatch: 128 })],
    ["each key's first of the month", await measure({ ...many, atMs })],
    ['each in a rollup that is there', await measure({ ...many, atMs })],
    ['each the first of its rollup', await measure({ ...many, atMs: atMs + BUCKET_MS })],
  ]);
  await pool.end();
  await nats.close();
}

function report(figures: readonly [name: string, figures: Figures][]): void {
  const micros = (value: number): string => `${value.toFixed(1)} µs`;
  const best = figures[1]![1];
  const [steady, later] = [best, figures[3]![1]].map(({ cpu }) => cpu['recorder']! + cpu['postgres']!) as [number, number];
  publish({
    name: 'recorder',
    title: 'Usage events committed by one recorder',
    method: [
      `Usage of ${FEW.tenants} tenants with ${FEW.keysPerTenant} keys and ${MODELS} models each lies in the stream when the recorder starts. Measured from its first commit to the last acknowledgement: decoding, queue, rows, rollups, budget totals, release in Redis, acknowledgement. The recorder runs on one core; Postgres (durable commits), Redis and NATS share the other one. At the end the rollups hold every event once.`,
      `Then of ${MANY.tenants.toLocaleString('en')} tenants with ${MANY.keysPerTenant} keys and one model each, every event from another key than those before it: its rollup of 15 minutes, its tenant's total and its key's are all its own.`,
    ],
    columns: ['keys', 'events', 'events per message', 'booked', 'events/s', 'CPU per event: recorder', 'Postgres', 'Redis', 'NATS'],
    rows: figures.map(([name, { load, events, seconds, cpu }]) => [
      load.callers.length.toLocaleString('en'),
      name,
      load.perBatch,
      events,
      Math.round(events / seconds),
      micros(cpu['recorder']!),
      micros(cpu['postgres']!),
      micros(cpu['redis']!),
      micros(cpu['nats']!),
    ]),
    findings: [
      `One recorder commits ${Math.round(best.events / best.seconds)} events per second with full messages, using ${((best.cpu['recorder']! * best.events) / best.seconds / 1e4).toFixed(0)} % of its core.`,
      `An event whose key, tenant and rollup no other event of its commit shares costs ${(later / steady).toFixed(2)} times as much (recorder and Postgres together), since every row is then written for itself.`,
    ],
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
