import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { addCleanup } from './cleanup.js';
import { attachServices } from './services.js';

export interface TestRedis {
  /** Address with an own, empty database number. */
  url: string;
  /** Empties the database and gives it back. */
  close(): Promise<void>;
}

const LEASE_PREFIX = 'omg:testkit:database:';
/** Longer than any test file may run; a killed worker's database is free again afterwards. */
const LEASE_MS = 120 * 60_000;

async function databaseCount(client: Redis): Promise<number> {
  const answer = (await client.config('GET', 'databases')) as string[];
  return Number(answer[1] ?? 16);
}

/**
 * A database of the shared Redis for one test file, leased in database 0, so that files in parallel workers never meet.
 * Pub/sub channels are not part of a database; a test that needs those to itself, or that kills Redis, calls `startRedis()`.
 */
export async function createTestRedis(): Promise<TestRedis> {
  const { redisUrl } = attachServices();
  const shared = new Redis(redisUrl);
  const owner = randomUUID();
  const count = await databaseCount(shared);
  let index = 0;
  for (let candidate = 1; candidate < count && index === 0; candidate += 1) {
    if ((await shared.set(`${LEASE_PREFIX}${candidate}`, owner, 'PX', LEASE_MS, 'NX')) === 'OK') index = candidate;
  }
  if (index === 0) {
    shared.disconnect();
    throw new Error(`all ${count - 1} Redis test databases are taken`);
  }
  const flush = async (): Promise<void> => {
    const client = new Redis(redisUrl, { db: index });
    await client.flushdb();
    client.disconnect();
  };
  await flush();
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await flush();
    await shared.del(`${LEASE_PREFIX}${index}`);
    shared.disconnect();
  };
  addCleanup(close);
  const url = new URL(redisUrl);
  url.pathname = `/${index}`;
  return { url: url.toString(), close };
}
