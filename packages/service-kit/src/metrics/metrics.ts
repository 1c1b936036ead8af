import { collectDefaultMetrics, Registry } from 'prom-client';
import { CounterFamily, GaugeFamily, HistogramFamily, type FamilyDescription, type FamilyOptions, type MetricSource } from './families.js';

export const METRIC_PREFIX = 'open_model_gateway_';

/** Seconds; the specification's bounds. */
export const HTTP_BUCKETS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] as const;

type Options = Omit<FamilyOptions, 'name'> & { /** Without the prefix `open_model_gateway_`. */ name: string };

/** The metrics of one process. */
export class Metrics {
  readonly registry = new Registry();
  private readonly families: FamilyDescription[] = [];

  constructor(target: { service: string; version: string }, options: { runtime?: boolean } = {}) {
    const info = this.gauge({
      name: 'target_info',
      help: 'The process that is scraped; always 1.',
      labelNames: ['service_name', 'service_version', 'node_version'],
    });
    info.child(target.service, target.version, process.version).set(1);
    // Heap, CPU, garbage collection and event loop lag of the process.
    if (options.runtime ?? true) collectDefaultMetrics({ register: this.registry });
  }

  counter(options: Options): CounterFamily {
    return this.add(new CounterFamily({ ...options, name: METRIC_PREFIX + options.name }));
  }

  gauge(options: Options & { refresh?: () => void }): GaugeFamily {
    return this.add(new GaugeFamily({ ...options, name: METRIC_PREFIX + options.name }));
  }

  histogram(options: Options & { buckets: readonly number[] }): HistogramFamily {
    return this.add(new HistogramFamily({ ...options, name: METRIC_PREFIX + options.name }));
  }

  /** Our own families, for the reference page. */
  describe(): readonly FamilyDescription[] {
    return this.families;
  }

  /** Prometheus' text format. */
  scrape(): Promise<string> {
    return this.registry.metrics();
  }

  private add<T extends MetricSource & FamilyDescription>(family: T): T {
    this.families.push(family);
    this.registry.registerMetric(family as never);
    return family;
  }
}

export interface HttpMetrics {
  /** `route` is the pattern, never the path. */
  observe(method: string, route: string, status: number, seconds: number): void;
}

/** The specification's two HTTP metrics. */
export function httpMetrics(metrics: Metrics): HttpMetrics {
  const labelNames = ['method', 'route', 'status'];
  const total = metrics.counter({ name: 'http_requests_total', help: 'HTTP requests.', labelNames });
  const duration = metrics.histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests, streams to their end.',
    labelNames,
    buckets: HTTP_BUCKETS,
  });
  return {
    observe(method, route, status, seconds) {
      const label = String(status);
      total.child(method, route, label).inc();
      duration.child(method, route, label).observe(seconds);
    },
  };
}
