import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { findPostgresFolder } from '@omg/dev';
import {
  addCleanup,
  cleanUp,
  createTestDatabase,
  documentedCommands,
  repositoryRoot,
  startService,
  startStack,
  temporaryFolder,
  TEST_KEY,
  waitFor,
  type RunningApp,
  type TestStack,
} from '@omg/testkit';
import { Redis } from 'ioredis';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startLoad } from './faults/support/load.js';
import { startMockProvider } from './faults/support/mock-provider.js';
import { Ledger } from './support/usage.js';

/** The guide "Backup and restore", walked through: a dump under load, a loss, a restore into another database, a check of the books. */

const run = promisify(execFile);

let stack: TestStack;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  stack = await startStack({ upstreamUrl: (await startMockProvider()).url });
});
afterAll(cleanUp);

/** The page's commands, with this test's addresses and files in place of the examples. */
const [BACKUP, RESTORE, VERIFY] = documentedCommands(import.meta.filename, 'docs/guides/backup-and-restore.md');

function command(text: string, names: Readonly<Record<string, string>>): Promise<{ stdout: string; stderr: string }> {
  const script = Object.entries(names).reduce((whole, [from, to]) => whole.replaceAll(from, to), text);
  const server = new URL(stack.databaseUrl);
  // For createdb, which takes a name and no address.
  const env = { ...process.env, PGHOST: server.hostname, PGPORT: server.port, PGUSER: server.username, PGPASSWORD: server.password };
  const PATH = [findPostgresFolder(), process.env['PATH']].filter((part) => part !== undefined).join(':');
  return run('sh', ['-euc', script], { cwd: repositoryRoot(), env: { ...env, PATH } });
}

const backup = (file: string, databaseUrl: string) => command(BACKUP!, { 'postgres://...': databaseUrl, '/backups/omg-$(date +%F).dump': file });
const verify = (databaseUrl: string) =>
  command(VERIFY!, {
    "ROUTER_DB_URL='...'": `ROUTER_DB_URL='${databaseUrl}'`,
    "ROUTER_REDIS_URL='...'": `ROUTER_REDIS_URL='${stack.redisUrl}'`,
    "ROUTER_NATS_URL='...'": `ROUTER_NATS_URL='${stack.natsUrl}'`,
  });
const restore = (file: string, databaseUrl: string) =>
  run(join(repositoryRoot(), 'infra', 'ops', 'restore.sh'), [file], { env: { PATH: process.env['PATH'], ROUTER_DB_URL: databaseUrl } });

async function countRows(databaseUrl: string): Promise<number> {
  const ledger = Ledger.open(databaseUrl);
  try {
    return await ledger.count();
  } finally {
    await ledger.close();
  }
}

/** Sends calls for a while; resolves when all of them are booked. */
async function callsBooked(edge: RunningApp, databaseUrl: string, enough: number, during?: () => Promise<unknown>): Promise<number> {
  const before = await countRows(databaseUrl);
  const load = startLoad([edge.url], 25, { atOnceMax: 20 });
  await during?.();
  await waitFor(() => load.outcomes.length >= enough, { what: 'enough calls' });
  const outcomes = await load.stop();
  expect(outcomes.filter(({ status, whole }) => status !== 200 || !whole)).toEqual([]);
  await waitFor(async () => (await countRows(databaseUrl)) === before + outcomes.length, { what: 'all calls to be booked' });
  return outcomes.length;
}

/** createdb, restore, migrate. The database is dropped by `cleanUp()`. */
async function restoredAs(name: string, file: string): Promise<{ url: string; stdout: string }> {
  const url = new URL(stack.databaseUrl);
  url.pathname = `/${name}`;
  addCleanup(async () => void (await command(`dropdb --force ${name}`, {})));
  const { stdout } = await command(RESTORE!, { 'postgres://.../omg_restored': url.toString(), omg_restored: name, '/backups/omg-2026-11-23.dump': file });
  return { url: url.toString(), stdout };
}

async function deleteBuckets(): Promise<void> {
  const connection = await connect({ servers: stack.natsUrl });
  const { streams } = await jetstreamManager(connection);
  for (const bucket of ['KV_config', 'KV_health']) await streams.delete(bucket);
  await connection.close();
}

async function spentUsd(edge: RunningApp): Promise<number> {
  const response = await fetch(`${edge.url}/v1/models`, { headers: { authorization: `Bearer ${TEST_KEY}` } });
  await response.arrayBuffer();
  return Number(response.headers.get('x-budget-total-usd'));
}

it('a dump that was taken under load restores to a gateway that works and whose books agree', async () => {
  const file = join(folder, 'ledger.dump');
  await callsBooked(stack.edge, stack.databaseUrl, 100);
  // What is under way at this moment is in the dump whole or not at all.
  await callsBooked(stack.edge, stack.databaseUrl, 150, () => backup(file, stack.databaseUrl));
  expect((await verify(stack.databaseUrl)).stdout).toContain('no mismatch');
  const lost = await countRows(stack.databaseUrl);

  for (const app of [...stack.edges, stack.recorder, stack.monitor, stack.admin]) await app.stop();
  const restored = await restoredAs(`omg_again_${randomUUID().slice(0, 8)}`, file);
  expect(restored.stdout).toContain('up to date');
  const { url } = restored;
  const redis = new Redis(stack.redisUrl);
  await redis.flushdb();
  redis.disconnect();
  await deleteBuckets();

  const rows = await countRows(url);
  expect(rows).toBeGreaterThanOrEqual(100);
  expect(rows).toBeLessThan(lost);
  const env = { ...stack.env, ROUTER_DATABASE_URL: url };
  await startService('admin-api', env);
  await startService('usage-recorder', env);
  const [edge] = await Promise.all([startService('edge-gateway', env), startService('health-monitor', env)]);
  const made = await callsBooked(edge, url, 50);
  expect(await countRows(url)).toBe(rows + made);
  const { stdout } = await verify(url);
  expect(stdout).toContain(`verified ${rows + made} usage rows`);
  expect(stdout).toContain('no mismatch');
  // The budget goes on from what the restored books say.
  const ledger = Ledger.open(url);
  const nano = await ledger.costNano();
  await ledger.close();
  await waitFor(async () => Math.abs((await spentUsd(edge)) - Number(nano) / 1e9) < 1e-12, { what: 'the budget to agree with the books' });
});

it('a backup of nothing, and a dump that was cut short, are refused', async () => {
  const empty = await createTestDatabase({ migrated: false });
  await expect(backup(join(folder, 'empty.dump'), empty.url)).rejects.toThrow(/no data/);
  await expect(restore(join(folder, 'nothing.dump'), empty.url)).rejects.toThrow(/cannot be read/);
  await run('sh', ['-c', `head -c 20000 '${join(folder, 'ledger.dump')}' > '${join(folder, 'cut.dump')}'`]);
  await expect(restore(join(folder, 'cut.dump'), empty.url)).rejects.toThrow();
  // Whole or not at all: the database is as empty as before, so the good dump fits.
  await restore(join(folder, 'ledger.dump'), empty.url);
});
