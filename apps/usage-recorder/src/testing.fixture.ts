import { randomUUID } from 'node:crypto';
import { encodeUsageEvent, STREAMS, type UsageEvent } from '@omg/contracts';
import { Metrics, createLogger } from '@omg/service-kit';
import { createPool, ledgerDatabase } from '@omg/database';
import { RedisAdmissionStore, RedisLedgerStore, closeRedis, connectNats, connectRedis, publishUsageBatch, type NatsClient } from '@omg/storage';
import { connectQueues } from '@omg/storage/queues';
import { addCleanup, createTestDatabase, createTestRedis, startNats } from '@omg/testkit';
import { recorderMetrics } from './metrics.js';

/** The recorder's surroundings, all real, each test file with its own. */
export async function openSurroundings() {
  const databaseServer = await createTestDatabase();
  const redisServer = await createTestRedis();
  const natsServer = await startNats();
  const pool = createPool({ ...databaseServer.settings, maxConns: 20 }, { name: 'recorder-test' });
  addCleanup(() => pool.end());
  const redisSettings = { url: redisServer.url, commandTimeoutMs: 30_000 };
  const redis = connectRedis(redisSettings, { name: 'recorder-test', mode: 'background' });
  addCleanup(() => closeRedis(redis));
  const store = new RedisLedgerStore(redis, { commandTimeoutMs: 30_000 });
  const admission = new RedisAdmissionStore(redis, { commandTimeoutMs: 30_000 });
  const queueRedis = connectQueues(redisSettings, { name: 'recorder-test-queues' });
  addCleanup(() => closeRedis(queueRedis));
  const nats = connectNats({ url: natsServer.url }, { name: 'recorder-test' });
  addCleanup(() => nats.close());
  const log = createLogger({ service: 'recorder-test', level: process.env['TEST_LOG'] ?? 'fatal' });
  const metrics = recorderMetrics(new Metrics({ service: 'recorder-test', version: '0' }, { runtime: false }));
  return {
    databaseServer,
    redisServer,
    natsServer,
    pool,
    database: ledgerDatabase(pool),
    redis,
    redisSettings,
    store,
    admission,
    queueRedis,
    nats,
    log,
    metrics,
  };
}

export type Surroundings = Awaited<ReturnType<typeof openSurroundings>>;

/** Publishes a message as it is, readable or not. */
export async function publish(nats: NatsClient, payload: string): Promise<void> {
  const connection = await nats.connected();
  connection.publish(STREAMS.usage.subject, payload);
  await connection.flush();
}

/** Publishes as an edge does. */
export async function publishEvents(nats: NatsClient, events: readonly unknown[]): Promise<string> {
  await nats.connected();
  const batchId = randomUUID();
  await publishUsageBatch(nats, { batchId, edgeId: 'edge-1', events: (events as UsageEvent[]).map(encodeUsageEvent) }, 30_000);
  return batchId;
}
