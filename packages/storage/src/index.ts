export { AuthStore } from './redis/auth-store.js';
export { RedisAdmissionStore, type AdmissionStoreOptions } from './redis/admission-store.js';
export * from './redis/admission.types.js';
export { RedisUnavailableError } from './redis/guarded-redis.js';
export {
  IdempotencyStore,
  type IdempotencyBegin,
  type IdempotencyScope,
  type IdempotencyStoreOptions,
  type KeptAnswer,
  type StoredAnswer,
} from './redis/idempotency-store.js';
export { RedisLedgerStore, type LedgerStoreOptions } from './redis/ledger-store.js';
export { silentObserver, type ConnectionObserver } from './connection-observer.js';
export { backoffMs } from './backoff.js';
export { closeRedis, connectRedis, pingRedis, type RedisClient, type RedisConnectionOptions, type RedisSettings } from './redis/connection.js';
export { parseRedisUrl, type RedisTarget } from './redis/redis-url.js';
export { connectNats, NatsClient, type NatsOptions, type NatsSettings } from './nats/connection.js';
/** What the usage recorder works with: its stream and what answers the edges. */
export {
  USAGE_ACK_WAIT_MS,
  USAGE_MESSAGE_BYTES_MAX,
  USAGE_UNACKED_MAX,
  acknowledge,
  ensureUsageStreams,
  keepMessage,
  publishDeadLetter,
  readDeadLetters,
  subscribeToUsage,
  usageBacklog,
  type UsageBacklog,
  type UsageMessage,
  type UsageStreamOptions,
  type UsageSubscription,
} from './nats/usage-stream.js';
export { respond, type ResponderOptions } from './nats/responder.js';
export { Spool, SpoolError, type ReplayResult, type SpoolOptions } from './spool/spool.js';
export { KvBucket, type BucketEntry, type BucketSettings } from './nats/kv-bucket.js';
export { watchKv, type KvWatch, type KvWatchOptions } from './nats/kv-watch.js';
export { holdLease, type Lease, type LeaseOptions } from './nats/lease.js';
export { publishRouteOutcome, publishUsageBatch, requestBudgetSeed } from './nats/bus.js';
export { ConfigBucket, RevisionConflictError, type ConfigEntry, type StoredDocument } from './nats/config-bucket.js';
export { BUCKETS, leaseBucket } from './nats/buckets.js';
export { subscribeJson } from './nats/subscribe.js';
