import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import pg from 'pg';
import { cleanUp, createTestDatabase, createTestRedis, startNats, startPostgres, startRedis } from './index.js';

afterAll(cleanUp);

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('createTestDatabase', () => {
  it('gives each caller its own database and drops it with connections open', async () => {
    const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    await query(first.url, 'CREATE TABLE only_here (id int)');
    expect(await query(second.url, "SELECT to_regclass('only_here') AS found")).toEqual([{ found: null }]);
    const holder = new pg.Client({ connectionString: first.url });
    holder.on('error', () => undefined);
    await holder.connect();
    await first.drop();
    expect(await query(second.url, `SELECT 1 FROM pg_database WHERE datname = '${first.name}'`)).toEqual([]);
    await holder.end().catch(() => undefined);
  });
});

describe('createTestRedis', () => {
  it('gives each caller an own empty database', async () => {
    const [first, second] = await Promise.all([createTestRedis(), createTestRedis()]);
    const [a, b] = [new Redis(first.url), new Redis(second.url)];
    await a.set('k', 'v');
    expect(await b.get('k')).toBeNull();
    a.disconnect();
    b.disconnect();
    await first.close();
    await second.close();
  });
});

describe('own servers', () => {
  it('redis: a killed server comes back at its address with its data', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'omg-test-'));
    const first = await startRedis({ dataDir });
    const client = new Redis(first.url, { retryStrategy: () => 10, maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    await client.set('k', 'v');
    await first.kill();
    const second = await startRedis({ dataDir, port: first.port });
    expect(await client.get('k')).toBe('v');
    client.disconnect();
    await second.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('nats: answers, and is gone after kill', async () => {
    const nats = await startNats();
    expect(nats.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
    await nats.kill();
    expect(await nats.exited).toBe('SIGKILL');
  });

  it('postgres: keeps its data over a kill when started again with folder and port', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'omg-test-'));
    const first = await startPostgres({ dataDir, durable: true });
    await query(first.url, 'CREATE TABLE kept (id int)');
    await first.kill();
    const second = await startPostgres({ dataDir, port: first.port, durable: true });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, "SELECT to_regclass('kept')::text AS found")).toEqual([{ found: 'kept' }]);
    await second.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
});
