import { configKey, readDocument, routeHealthSchema } from '@omg/contracts';
import { Bag, FallbackLimiter, KeyRing, sealedContext, uuidV7 } from '@omg/domain';
import { getProvider } from '@omg/providers';
import type { ServiceContext } from '@omg/service-kit';
import {
  IdempotencyStore,
  BUCKETS,
  KvBucket,
  RedisAdmissionStore,
  Spool,
  closeRedis,
  connectNats,
  connectRedis,
  pingRedis,
  publishUsageBatch,
  requestBudgetSeed,
  watchKv,
  type ConnectionObserver,
  type NatsClient,
} from '@omg/storage';
import { createTransport } from '@omg/upstream';
import { randomBytes, randomFillSync } from 'node:crypto';
import { hostname } from 'node:os';
import { Allowances } from './allowances.js';
import { startBackground } from './background.js';
import { edgeConfigOf, type EDGE_SECTIONS } from './config.js';
import type { RequestContext } from './data-plane/context.js';
import { WindowCache } from './data-plane/entitlement.js';
import { BodyMemory } from './data-plane/read-body.js';
import { EdgeClock } from './edge-clock.js';
import { EdgeMetrics } from './edge-metrics.js';
import type { EdgeServices } from './edge-services.js';
import { BudgetSeeds } from './metering/budget-seeds.js';
import { UsageOutlet } from './metering/usage-outlet.js';
import { ConfigSnapshot } from './snapshot/config-snapshot.js';
import { KeyCache } from './snapshot/key-cache.js';
import { UnknownKeyLimit } from './snapshot/unknown-key-limit.js';
import { buildRoute } from './upstream/build-route.js';
import { RetryBudget } from './upstream/retry-budget.js';
import { RouteStates } from './upstream/route-states.js';

type Service = ServiceContext<(typeof EDGE_SECTIONS)[number]>;

/** How long "there is no such key" is believed; a new key is told by the watch at once, so this only bounds a gap. */
const ABSENT_KEY_TTL_MS = 5000;
const ABSENT_KEYS_MAX = 10_000;
const KEY_LOOKUPS_MAX = 1000;
/** An address may ask for so many keys that do not exist at once, and then for so many in each second. */
const UNKNOWN_KEYS = { burst: 500, perSecond: 50, addressesMax: 10_000 };
const BUS_TIMEOUT_MS = 2000;
/** Bytes of answers that a tenant may have replayed: a few of the longest at once, and enough per second for every honest retry. */
const REPLAYS = { burst: 16 * 1024 * 1024, perSecond: 4 * 1024 * 1024, namesMax: 10_000 };
/** After a recorder did not answer in time, other calls do not wait for it again for `quietMs`. */
const SEEDS = { timeoutMs: 500, quietMs: 1000, runningMax: KEY_LOOKUPS_MAX };
/** Failovers that a quiet gateway may make before its retry budget counts. */
const RETRY_RESERVE = 10;
/** Settings of the limits while Redis is away: this process's part, as told in docs/guarantees.md. */
const FALLBACK = { limitShare: 0.5, budgetSharePermille: 100, scopesMax: 20_000 };

/** Opens everything that the data plane uses. Waits for nothing outside: readiness tells what is missing. */
export async function openEdge(service: Service): Promise<EdgeServices> {
  const { config: file, lifecycle, logger, health } = service;
  const config = edgeConfigOf(file);
  const edgeId = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const observer = service.connections;
  const random = pooledRandom();
  const clock = new EdgeClock();
  const nats = connectNats(file.nats, { name: 'edge', observer });
  lifecycle.onClose('nats', () => nats.close());
  // The stores' guard ends each call in time. The connection's own, longer limit only notices a lost peer: its timers would
  // fire in a busy moment although the answers have arrived.
  const { redis, admission, idempotency } = openRedis(service, observer);
  const transport = createTransport({ connections: file.edge.upstreamConnections, allowlist: file.security.upstreamAllowlist });
  lifecycle.onClose('upstream', () => transport.close());
  const routing = new RouteStates(
    { failureThreshold: file.health.failureThreshold, cooldownMs: file.health.cooldownMs, probeLeaseMs: file.server.providerTimeoutMs },
    () => clock.nowMs(),
  );
  const bucket = new KvBucket(nats, BUCKETS.config);
  const snapshot = openSnapshot(service, routing);
  const keys = new KeyCache(async (prefix) => (await bucket.get(configKey.key(prefix)))?.value, {
    entriesMax: file.edge.keyCacheEntries,
    absentMax: ABSENT_KEYS_MAX,
    absentTtlMs: ABSENT_KEY_TTL_MS,
    lookupsInFlightMax: KEY_LOOKUPS_MAX,
  });
  watchConfiguration(service, nats, bucket, { snapshot, keys, routing });
  watchHealth(service, nats, routing);
  const { usage, spool } = await openUsage(service, nats, edgeId, () => uuidV7(clock.nowMs(), random(10)));
  const inFlight = new Bag<RequestContext>();
  const bodies = new BodyMemory(() => config.bodyMemoryBytes);
  const metrics = new EdgeMetrics(service.metrics, {
    inFlight: () => inFlight.size,
    bodyBytes: () => bodies.takenBytes,
    queuedEvents: () => usage.queued,
    overflowedEvents: () => usage.overflowed,
    spoolBytes: () => spool.pendingBytes,
    routes: () => routing.phases(),
  });
  health.add('configuration', async () => {
    if (!snapshot.isComplete) throw new Error('no configuration yet');
  });
  // The edge serves without either for a while (see docs/guarantees.md), so they do not take it out of rotation.
  health.add('redis', () => pingRedis(redis), { critical: false });
  health.add('nats', () => nats.ping(), { critical: false });
  const services: EdgeServices = {
    config,
    clock,
    snapshot,
    keys,
    unknownKeys: new UnknownKeyLimit(UNKNOWN_KEYS),
    windows: new WindowCache(),
    admission,
    idempotency,
    replays: new Allowances(REPLAYS),
    keptAnswers: keptAnswersOf(file.edge),
    fallback: new FallbackLimiter({ ...FALLBACK, budgetAllowanceMaxNano: config.offlineAllowanceNano }),
    seeds: new BudgetSeeds((request, timeoutMs) => requestBudgetSeed(nats, request, timeoutMs), SEEDS),
    usage,
    routing,
    retries: new RetryBudget(file.edge.retryBudgetRatio, RETRY_RESERVE),
    transport,
    metrics,
    tracing: service.tracing,
    log: logger,
    inFlight,
    bodies,
    random,
  };
  startBackground({ services, service, nats, spool, edgeId, streamBytesMax: file.metering.streamMaxMb * 1024 * 1024 });
  return services;
}

function openRedis({ config: file, lifecycle, logger }: Service, observer: ConnectionObserver) {
  const redis = connectRedis(file.redis, { name: 'edge', mode: 'guarded', observer });
  lifecycle.onClose('redis', () => closeRedis(redis));
  const guard = {
    commandTimeoutMs: file.edge.redisTimeoutMs,
    onCircuit: (state: string, reason: string, node?: string) => logger.warn({ state, reason, node }, 'redis circuit'),
  };
  const admission = new RedisAdmissionStore(redis, guard);
  lifecycle.onClose('admission', () => admission.close());
  const idempotency = new IdempotencyStore(redis, { ...guard, answerTtlMs: file.edge.idempotencyTtlMs });
  lifecycle.onClose('idempotency', () => idempotency.close());
  return { redis, admission, idempotency };
}

/** In any time of `idempotencyTtlMs`, all the answers that are kept for a tenant have no more than this many bytes. */
function keptAnswersOf({ idempotencyMemoryMb, idempotencyTtlMs }: Service['config']['edge']): Allowances {
  const half = (idempotencyMemoryMb * 1024 * 1024) / 2;
  return new Allowances({ burst: half, perSecond: half / (idempotencyTtlMs / 1000), namesMax: 10_000 });
}

function openSnapshot(service: Service, routing: RouteStates): ConfigSnapshot {
  const { config: file, logger } = service;
  const keyRing = new KeyRing(file.secrets.encryptionKeys);
  const building = {
    provider: getProvider,
    open: (sealed: string, { routeId, name }: { routeId: string; name: string }) => keyRing.open(sealed, sealedContext.routeSetting(name, routeId)),
  };
  return new ConfigSnapshot(
    (doc) => {
      const route = buildRoute(doc, building);
      if (route.brokenReason) logger.warn({ routeId: doc.id, provider: doc.provider, reason: route.brokenReason }, 'route cannot be used');
      return route;
    },
    (key, problem) => logger.error({ key, problem }, 'configuration entry cannot be read; the former one stays'),
    (routeId) => routing.forget(routeId),
  );
}

/** Follows the control plane: models and tenants by value, keys by name only, since there may be millions of them. */
function watchConfiguration(
  service: Service,
  nats: NatsClient,
  bucket: KvBucket,
  parts: { snapshot: ConfigSnapshot; keys: KeyCache; routing: RouteStates },
): void {
  const { snapshot, keys, routing } = parts;
  const watch = watchKv(nats, bucket, {
    keys: ['defaults', 'model.>', 'tenant.>'],
    names: ['key.>'],
    onSnapshot: (entries) => {
      snapshot.replaceAll(entries);
      routing.retainOnly(new Set([...snapshot.routes()].map((route) => route.doc.id)));
    },
    onChange: (key, value) => snapshot.apply(key, value),
    // Keys may have been revoked while the bus was away.
    onNamesLost: () => keys.invalidateAll(),
    onNameChange: (key) => keys.invalidate(Buffer.from(key.slice('key.'.length), 'base64url').toString('utf8')),
    onError: (error) => service.logger.warn({ err: error }, 'configuration cannot be followed right now'),
  });
  service.lifecycle.onClose('configuration watch', () => watch.close());
}

function watchHealth(service: Service, nats: NatsClient, routing: RouteStates): void {
  const tell = (key: string, value: string | undefined): void =>
    routing.onHealth(key.slice('route.'.length), value === undefined ? undefined : readDocument(routeHealthSchema, value));
  const watch = watchKv(nats, new KvBucket(nats, BUCKETS.health), {
    keys: ['route.>'],
    onSnapshot: (entries) => entries.forEach((value, key) => tell(key, value)),
    onChange: tell,
    onError: (error) => service.logger.warn({ err: error }, 'route health cannot be followed right now'),
  });
  service.lifecycle.onClose('health watch', () => watch.close());
}

async function openUsage(service: Service, nats: NatsClient, edgeId: string, newBatchId: () => string): Promise<{ usage: UsageOutlet; spool: Spool }> {
  const { metering } = service.config;
  const spool = await Spool.open({ directory: metering.spoolDirectory, bytesMax: metering.spoolMaxMb * 1024 * 1024 });
  service.lifecycle.onClose('spool', () => spool.close());
  const usage = new UsageOutlet((batch) => publishUsageBatch(nats, batch, BUS_TIMEOUT_MS), { append: (event) => spool.append(event.json) }, newBatchId, {
    edgeId,
    lingerMs: metering.batchMaxDelayMs,
    batchEventsMax: metering.batchMaxEvents,
    inFlightMax: 16,
    queueEventsMax: 20_000,
    publishTimeoutMs: BUS_TIMEOUT_MS,
    refusalMs: 1000,
    retryMs: 250,
  });
  service.lifecycle.onClose('usage', async () => {
    await usage.flush(BUS_TIMEOUT_MS);
    usage.close();
  });
  return { usage, spool };
}

/** Random bytes from a pool of 4 KiB: a system call per id would be felt. */
function pooledRandom(): (bytes: number) => Uint8Array {
  const pool = Buffer.alloc(4096);
  let used = pool.length;
  return (bytes) => {
    if (used + bytes > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += bytes;
    return Buffer.from(pool.subarray(used - bytes, used));
  };
}
