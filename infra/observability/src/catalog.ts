import { httpMetrics, Metrics, observeConnections, type FamilyDescription } from '@omg/service-kit';
import { ProjectorMetrics } from '../../../apps/admin-api/src/projector/projector-metrics.js';
import { EdgeMetrics } from '../../../apps/edge-gateway/src/edge-metrics.js';
import { MonitorMetrics } from '../../../apps/health-monitor/src/monitor-metrics.js';
import { recorderMetrics } from '../../../apps/usage-recorder/src/metrics.js';

export interface ServiceMetrics {
  title: string;
  families: readonly FamilyDescription[];
}

function families(build: (metrics: Metrics) => unknown): readonly FamilyDescription[] {
  const metrics = new Metrics({ service: '', version: '' }, { runtime: false });
  const shared = metrics.describe().length;
  build(metrics);
  return metrics.describe().slice(shared);
}

const none = () => 0;

/** Every metric of the product, made by the code that makes it in the services. */
export function metricsCatalog(): ServiceMetrics[] {
  const target = new Metrics({ service: '', version: '' }, { runtime: false }).describe();
  const connections = families((metrics) => observeConnections({} as never, metrics));
  const http = families((metrics) => httpMetrics(metrics));
  const edge = families(
    (metrics) => new EdgeMetrics(metrics, { inFlight: none, bodyBytes: none, queuedEvents: none, overflowedEvents: none, spoolBytes: none, routes: () => [] }),
  );
  const isShared = new Set(http.map(({ name }) => name));
  return [
    { title: 'Every service', families: [...target, ...http, ...connections] },
    { title: 'Edge gateway', families: edge.filter(({ name }) => !isShared.has(name)) },
    { title: 'Usage recorder', families: families((metrics) => recorderMetrics(metrics)) },
    { title: 'Admin API', families: families((metrics) => new ProjectorMetrics(metrics, () => false)) },
    { title: 'Health monitor', families: families((metrics) => new MonitorMetrics(metrics, none)) },
  ];
}

/** Metrics of the process that the dashboards use; prom-client makes these. */
export const RUNTIME_METRICS = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_heap_size_used_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_gc_duration_seconds',
  'up',
] as const;
