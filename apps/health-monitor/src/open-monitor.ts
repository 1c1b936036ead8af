import { routeOutcomeSchema, SUBJECTS } from '@omg/contracts';
import { KeyRing } from '@omg/domain';
import type { ServiceContext } from '@omg/service-kit';
import { BUCKETS, connectNats, holdLease, KvBucket, leaseBucket, subscribeJson, watchKv, type NatsClient } from '@omg/storage';
import { createTransport } from '@omg/upstream';
import { MonitorMetrics } from './monitor-metrics.js';
import { Monitor } from './monitor.js';
import { Prober } from './probes/prober.js';
import { IncidentLog } from './publish/incident-log.js';
import { RouteTable } from './routes/route-table.js';

export const SECTIONS = ['nats', 'secrets', 'security', 'health', 'monitor'] as const;
type Context = ServiceContext<(typeof SECTIONS)[number]>;

/** Probes are small and rare; one slow origin must not hold many sockets. */
const CONNECTIONS_PER_ORIGIN = 8;

/** Opens everything that the monitor needs, each closer right after it; nothing waits for NATS to be there. */
export function openMonitor(context: Context): void {
  const { config, lifecycle, health, connections } = context;
  const nats = connectNats(config.nats, { name: 'health-monitor', observer: connections });
  lifecycle.onClose('nats', () => nats.close());
  health.add('nats', () => nats.ping());
  const monitor = buildMonitor(context, nats);
  const configurationIsKnown = follow(context, nats, monitor);
  void configurationIsKnown.then(() => compete(context, nats, monitor));
}

function buildMonitor(context: Context, nats: NatsClient): Monitor {
  const { config, logger, lifecycle } = context;
  const { checkIntervalMs, rollingWindow, failureThreshold, cooldownMs, probeTimeoutMs } = config.health;
  const transport = createTransport({ connections: CONNECTIONS_PER_ORIGIN, allowlist: config.security.upstreamAllowlist });
  lifecycle.onClose('upstream', () => transport.close());
  const table = new RouteTable(new KeyRing(config.secrets.encryptionKeys), (key) => logger.warn({ key }, 'a model document cannot be read'));
  const incidents = new IncidentLog(new KvBucket(nats, BUCKETS.incidents), (error) => logger.warn({ err: error }, 'an incident could not be published'));
  const prober = new Prober({
    transport,
    intervalMs: checkIntervalMs,
    timeoutMs: probeTimeoutMs,
    concurrency: config.monitor.probeConcurrency,
    onResult: (route, result, durationMs) => monitor.onProbe(route, result, durationMs),
  });
  lifecycle.onClose('prober', () => prober.stop());
  const metrics = new MonitorMetrics(context.metrics, () => incidents.openCount);
  const monitor: Monitor = new Monitor(
    { table, prober, health: new KvBucket(nats, BUCKETS.health), incidents, metrics, log: logger, nowMs: () => Date.now() },
    { checkIntervalMs, window: rollingWindow, failureThreshold, passiveMs: 2 * checkIntervalMs, breakerMs: cooldownMs },
  );
  return monitor;
}

/** Follows the catalog and the edges' reports. Resolves when the catalog is known. */
function follow(context: Context, nats: NatsClient, monitor: Monitor): Promise<void> {
  const { logger, lifecycle } = context;
  const watch = watchKv(nats, new KvBucket(nats, BUCKETS.config), {
    keys: ['model.>'],
    onSnapshot: (documents) => monitor.onSnapshot(documents),
    onChange: (key, text) => monitor.onChange(key, text),
    onStale: () => logger.warn('the catalog may be old: NATS is away'),
    onError: (error) => logger.warn({ err: error }, 'the catalog cannot be followed'),
  });
  lifecycle.onClose('catalog', () => watch.close());
  const outcomes = subscribeJson(nats, SUBJECTS.routeOutcome, routeOutcomeSchema, (outcome) => monitor.onOutcome(outcome));
  lifecycle.onClose('outcomes', () => outcomes.close());
  return watch.ready;
}

/** One replica probes. The catalog must be known before the states of the prober before can be taken over. */
function compete(context: Context, nats: NatsClient, monitor: Monitor): void {
  const { config, lifecycle, shutdown } = context;
  if (shutdown.stopping.aborted) return;
  const lease = holdLease({
    bucket: new KvBucket(nats, leaseBucket(config.monitor.leaseMs)),
    key: 'prober',
    onGained: () => void monitor.lead(),
    onLost: () => monitor.yieldLease(),
  });
  lifecycle.onClose('lease', () => lease.close());
}
