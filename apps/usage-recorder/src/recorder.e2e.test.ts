import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { UsageEvent } from '@omg/contracts';
import { createPool, type PostgresPool } from '@omg/database';
import { connectNats, ensureUsageStreams, requestBudgetSeed, usageBacklog, type NatsClient } from '@omg/storage';
import { migrate } from '@omg/prisma';
import { cleanUp, repositoryRoot, startNats, startPostgres, startRedis, startService, waitFor, type RunningApp, type RunningService } from '@omg/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { publishEvents } from './testing.fixture.js';
import { usageEvent } from './usage-event.fixture.js';

/** The built recorder as a process, with stores of its own that may be killed. */
let postgres: Awaited<ReturnType<typeof startPostgres>>;
let redis: RunningService;
let natsServer: RunningService;
let pool: PostgresPool;
let nats: NatsClient;
const recorders: RunningApp[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  natsServer = await startNats();
  // The server is this file's own and goes as a whole.
  await migrate({ databaseUrl: postgres.url });
  pool = createPool({ url: postgres.url, maxConns: 3 }, { name: 'recorder-e2e' });
  nats = connectNats({ url: natsServer.url }, { name: 'recorder-e2e' });
  await ensureUsageStreams(await nats.connected(), { maxBytes: 2 ** 31, replicas: 1, ackWaitMs: 2_000 });
});

afterEach(async () => {
  await Promise.all(recorders.splice(0).map((recorder) => recorder.stop()));
});

afterAll(async () => {
  await nats.close();
  await pool.end();
  await cleanUp();
});

const environment = () => ({
  ROUTER_PROFILE: 'development',
  ROUTER_DB_URL: postgres.url,
  ROUTER_REDIS_URL: redis.url,
  ROUTER_NATS_URL: natsServer.url,
  ROUTER_OBSERVABILITY_ENABLE_OTLP: 'false',
});

async function startRecorder(readyPath?: null): Promise<RunningApp> {
  const recorder = await startService('usage-recorder', environment(), readyPath === null ? { readyPath } : {});
  recorders.push(recorder);
  return recorder;
}

const newcomer = () => ({ tenantId: randomUUID(), apiKeyId: randomUUID() });
type Who = ReturnType<typeof newcomer>;

/** Publishes batches of 25 and returns the events. */
async function publishMany(who: Who, count: number): Promise<UsageEvent[]> {
  const events = Array.from({ length: count }, () => usageEvent(who));
  for (let i = 0; i < count; i += 25) await publishEvents(nats, events.slice(i, i + 25));
  return events;
}

async function booked(who: Who): Promise<{ rows: number; rollup: number; total: number }> {
  const { rows } = await pool.query<{ rows: number; rollup: number; total: number }>(
    `SELECT (SELECT count(*) FROM usage_records WHERE tenant_id = $1)::int AS rows,
       (SELECT coalesce(sum(cost_nano), 0) FROM usage_rollups WHERE tenant_id = $1)::int AS rollup,
       (SELECT coalesce(sum(spent_nano), 0) FROM budget_totals WHERE tenant_id = $1 AND api_key_id = $2)::int AS total`,
    [who.tenantId, who.apiKeyId],
  );
  return rows[0]!;
}

const inOrder = (count: number) => ({ rows: count, rollup: count * 1_500, total: count * 1_500 });

const streamIsEmpty = async (): Promise<boolean> => (await usageBacklog(await nats.connected())).oldestAtMs === undefined;

const verify = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(repositoryRoot(), 'apps/usage-recorder/dist/verify.js'), ...args], { env: { ...process.env, ...environment() } });

describe('the recorder', () => {
  it('books what lay in the stream, tells that it is ready, and counts it', async () => {
    const who = newcomer();
    await publishMany(who, 100);
    const recorder = await startRecorder();
    await waitFor(streamIsEmpty);
    expect(await booked(who)).toEqual(inOrder(100));
    const metrics = await (await fetch(`${recorder.url}/metrics`)).text();
    expect(metrics).toMatch(/^open_model_gateway_recorder_events_total\{result="inserted"\} 100$/m);
    expect((await verify()).stdout).toContain('no mismatch');
  });

  it('killed over and over in mid-load books every event once', async () => {
    const who = newcomer();
    let seen = 0;
    for (let death = 0; death < 3; death++) {
      await publishMany(who, 1_000);
      const recorder = await startRecorder();
      await waitFor(async () => (await booked(who)).rows > seen, { intervalMs: 2 });
      await recorder.kill();
      seen = (await booked(who)).rows;
    }
    await startRecorder();
    await waitFor(streamIsEmpty);
    expect(await booked(who)).toEqual(inOrder(3_000));
  });

  it('asked to stop in mid-load ends its transactions, exits cleanly and leaves the rest to the next one', async () => {
    const who = newcomer();
    await publishMany(who, 2_000);
    const first = await startRecorder();
    await waitFor(async () => (await booked(who)).rows > 0, { intervalMs: 2 });
    await first.stop();
    expect(await first.exited).toMatch(/0/);
    await startRecorder();
    await waitFor(streamIsEmpty);
    expect(await booked(who)).toEqual(inOrder(2_000));
  });

  it('waits for a Postgres that is restarted, is not ready meanwhile, and loses nothing', async () => {
    const who = newcomer();
    const recorder = await startRecorder();
    await publishMany(who, 200);
    await pool.end();
    await postgres.kill();
    await publishMany(who, 200);
    await waitFor(async () => (await fetch(`${recorder.url}/readyz`)).status === 503);
    postgres = await postgres.again();
    pool = createPool({ url: postgres.url, maxConns: 3 }, { name: 'recorder-e2e' });
    await waitFor(streamIsEmpty);
    expect(await booked(who)).toEqual(inOrder(400));
    await waitFor(async () => (await fetch(`${recorder.url}/readyz`)).ok);
  });

  it('starts while everything is away, and works when it comes', async () => {
    const who = newcomer();
    redis.pause();
    const recorder = await startRecorder(null);
    await waitFor(async () => (await fetch(`${recorder.url}/healthz`).catch(() => undefined))?.ok);
    expect((await fetch(`${recorder.url}/readyz`)).status).toBe(503);
    redis.resume();
    await publishMany(who, 50);
    await waitFor(streamIsEmpty);
    expect(await booked(who)).toEqual(inOrder(50));
  });

  it('puts a total into Redis when an edge asks for it', async () => {
    const who = newcomer();
    await startRecorder();
    await publishMany(who, 25);
    await waitFor(streamIsEmpty);
    const windowId = `daily:${new Date().toISOString().slice(0, 10)}`;
    const request = { v: 1 as const, ...who, schedule: 'daily', windowId, windowStartMs: 0, windowEndMs: 1 };
    await requestBudgetSeed(nats, request, 30_000);
    await expect(requestBudgetSeed(nats, { ...request, windowId: 'never:2026' }, 5_000)).rejects.toThrow();
    expect((await verify()).stdout).toMatch(/no mismatch/);
  });

  it('has its wrong ledger shown by the verification, with exit code 1', async () => {
    await startRecorder();
    await pool.query('UPDATE budget_totals SET spent_nano = spent_nano + 1');
    await expect(verify('--wait', '0')).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('MISMATCH budget_total') });
  });
});
