import { randomUUID } from 'node:crypto';
import { Metrics, createLogger } from '@omg/service-kit';
import { RedisAdmissionStore, RedisLedgerStore, closeRedis, connectNats, connectQueues, connectRedis, createPool, ledgerDatabase, publishUsage, type NatsClient } from '@omg/storage';
import { addCleanup, createTestDatabase, createTestRedis, startNats } from '@omg/testkit';
import { recorderMetrics } from './metrics.js';

/** The recorder's surroundings, all real, each test file with its own. */
export async function openSurroundings() {
  const databaseServer = await createTestDatabase();
  const redisServer = await createTestRedis();
  const natsServer = await startNats();
  const pool = createPool({ url: databaseServer.url, maxConns: 20 }, { name: 'recorder-test' });
  addCleanup(() => pool.end());
  const redisSettings = { url: redisServer.url };
  const redis = connectRedis(redisSettings, { name: 'recorder-test', mode: 'background' });
  addCleanup(() => closeRedis(redis));
  const store = new RedisLedgerStore(redis, { commandTimeoutMs: 2_000 });
  const admission = new RedisAdmissionStore(redis, { commandTimeoutMs: 2_000 });
  const queueRedis = connectQueues(redisSettings, { name: 'recorder-test-queues' });
  addCleanup(() => closeRedis(queueRedis));
  const nats = connectNats({ url: natsServer.url }, { name: 'recorder-test' });
  addCleanup(() => nats.close());
  const log = createLogger({ service: 'recorder-test', level: process.env['TEST_LOG'] ?? 'fatal' });
  const metrics = recorderMetrics(new Metrics({ service: 'recorder-test', version: '0' }, { runtime: false }));
  return { databaseServer, redisServer, natsServer, pool, database: ledgerDatabase(pool), redis, redisSettings, store, admission, queueRedis, nats, log, metrics };
}

export type Surroundings = Awaited<ReturnType<typeof openSurroundings>>;

/** Publishes as an edge does: with the batch's id as message id, unless another one is given. */
export async function publish(nats: NatsClient, payload: string, messageId: string = randomUUID()): Promise<void> {
  await publishUsage(await nats.connected(), messageId, payload);
}
