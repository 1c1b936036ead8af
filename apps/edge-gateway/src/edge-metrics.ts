import { HTTP_BUCKETS, httpMetrics, type CounterFamily, type Distribution, type HistogramFamily, type HttpMetrics, type Metrics } from '@omg/service-kit';
import type { RequestContext } from './data-plane/context.js';
import type { RouteStates } from './upstream/route-states.js';

const OVERHEAD_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1];

/** What a scrape reads from the running parts. */
export interface EdgeGauges {
  inFlight: () => number;
  bodyBytes: () => number;
  queuedEvents: () => number;
  overflowedEvents: () => number;
  spoolBytes: () => number;
  routes: () => ReturnType<RouteStates['phases']>;
}

/** Tenants with a label of their own; their number has no bound, so later ones share `other`. The reports answer for each. */
const TENANTS_MAX = 50;
const TENANT_SERIES_MAX = 5000;

/** Metrics of the data plane. */
export class EdgeMetrics {
  private readonly http: HttpMetrics;
  private readonly apiDuration: HistogramFamily;
  private readonly tokens: CounterFamily;
  private readonly cost: CounterFamily;
  private readonly firstToken: HistogramFamily;
  private readonly refusals: CounterFamily;
  private readonly attempts: CounterFamily;
  private readonly overhead: Distribution;
  private readonly labelledTenants = new Set<string>();

  constructor(metrics: Metrics, gauges: EdgeGauges) {
    this.http = httpMetrics(metrics);
    this.apiDuration = metrics.histogram({
      name: 'api_request_duration_seconds',
      help: 'Duration of requests that were admitted to a model.',
      labelNames: ['tenant', 'model', 'provider', 'status'],
      seriesMax: TENANT_SERIES_MAX,
      buckets: HTTP_BUCKETS,
    });
    this.tokens = metrics.counter({
      name: 'api_tokens_total',
      help: 'Tokens used.',
      labelNames: ['tenant', 'model', 'provider', 'type'],
      seriesMax: TENANT_SERIES_MAX,
    });
    this.cost = metrics.counter({
      name: 'api_cost_usd_total',
      help: 'Cost in USD, for trends; the exact sums are in the reports.',
      labelNames: ['model', 'provider'],
    });
    this.firstToken = metrics.histogram({
      name: 'api_time_to_first_token_seconds',
      help: 'Time to the first byte of a streamed answer.',
      labelNames: ['model', 'provider'],
      buckets: HTTP_BUCKETS,
    });
    this.refusals = metrics.counter({ name: 'refusals_total', help: 'Requests that were refused before a provider was called.', labelNames: ['code'] });
    this.attempts = metrics.counter({ name: 'upstream_attempts_total', help: 'Calls to providers, failovers included.', labelNames: ['provider', 'outcome'] });
    this.overhead = metrics
      .histogram({ name: 'overhead_seconds', help: 'Time that the gateway itself added to an answer that was not streamed.', buckets: OVERHEAD_BUCKETS })
      .child();
    gauge(metrics, 'requests_in_flight', 'Running requests.', gauges.inFlight);
    gauge(metrics, 'request_body_bytes', 'Request bodies in memory, of requests that are received or run.', gauges.bodyBytes);
    gauge(metrics, 'usage_queue_events', 'Usage events in memory that wait for the bus.', gauges.queuedEvents);
    gauge(metrics, 'usage_queue_overflow_events', 'Usage events dropped from memory since the start; they are booked from Redis.', gauges.overflowedEvents);
    gauge(metrics, 'usage_spool_bytes', 'Usage on disk that waits for the bus.', gauges.spoolBytes);
    const breakers = metrics.gauge({
      name: 'route_breaker_open',
      help: '1 while the breaker of a route is open or half-open.',
      labelNames: ['route'],
      refresh: () => {
        breakers.reset();
        for (const { routeId, phase } of gauges.routes()) breakers.child(routeId).set(phase === 'closed' ? 0 : 1);
      },
    });
  }

  onRequest(ctx: RequestContext, durationMs: number): void {
    const seconds = durationMs / 1000;
    this.http.observe(ctx.request.method, ctx.endpoint.path, ctx.status, seconds);
    for (const attempt of ctx.attempts) this.attempts.child(attempt.route.provider, attempt.errorCode ?? 'ok').inc();
    const { event } = ctx;
    if (!event) {
      if (ctx.errorCode) this.refusals.child(ctx.errorCode).inc();
      return;
    }
    const { modelAlias: model, provider } = event;
    const tenant = this.tenantLabel(ctx);
    this.apiDuration.child(tenant, model, provider, String(ctx.status)).observe(seconds);
    this.tokens.child(tenant, model, provider, 'prompt').inc(event.meters.inputTokens);
    this.tokens.child(tenant, model, provider, 'completion').inc(event.meters.outputTokens);
    if (event.costNano) this.cost.child(model, provider).inc(Number(event.costNano) / 1e9);
    if (event.stream && ctx.firstByteMs !== undefined) this.firstToken.child(model, provider).observe(ctx.firstByteMs / 1000);
    if (!event.stream && ctx.attempts.length === 1) this.overhead.observe(Math.max(0, durationMs - ctx.attempts[0]!.latencyMs) / 1000);
  }

  private tenantLabel(ctx: RequestContext): string {
    const { id, name } = ctx.caller!.tenant.doc;
    if (this.labelledTenants.size < TENANTS_MAX) this.labelledTenants.add(id);
    return this.labelledTenants.has(id) ? name : 'other';
  }
}

function gauge(metrics: Metrics, name: string, help: string, read: () => number): void {
  const family = metrics.gauge({ name, help, refresh: () => family.child().set(read()) });
}
