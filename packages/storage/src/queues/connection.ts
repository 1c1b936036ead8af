import { connectRedis, type RedisClient, type RedisConnectionOptions, type RedisSettings } from '../redis/connection.js';

/** Prefix of all BullMQ keys; the braces keep a queue on one slot of a Redis Cluster. */
export const QUEUE_PREFIX = '{omg}';

/** A connection for BullMQ queues and workers; a worker duplicates it for its blocking reads. */
export function connectQueues(settings: RedisSettings, options: Omit<RedisConnectionOptions, 'mode'>): RedisClient {
  return connectRedis(settings, { ...options, mode: 'queue' });
}
