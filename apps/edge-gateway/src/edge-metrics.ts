import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestContext } from './data-plane/context.js';

const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
/** Models and providers come from the catalog, tenants from the control plane; beyond this many label sets the rest is `other`. */
const LABEL_SETS_MAX = 2000;

interface Children {
  requests: Counter.Internal;
  duration: Histogram.Internal<string>;
}

interface UsageChildren {
  duration: Histogram.Internal<string>;
  prompt: Counter.Internal;
  completion: Counter.Internal;
  costUsd: Counter.Internal;
  ttft: Histogram.Internal<string>;
}

/**
 * Metrics of the data plane. The child of a label set is looked up once and kept: prom-client's own lookup hashes all
 * labels on every call. Tenants are not a label here, their number has no bound; reports answer per tenant.
 */
export class EdgeMetrics {
  private readonly requests: Counter;
  private readonly duration: Histogram;
  private readonly apiDuration: Histogram;
  private readonly tokens: Counter;
  private readonly cost: Counter;
  private readonly ttft: Histogram;
  private readonly overhead: Histogram.Internal<string>;
  private readonly byRequest = new Map<string, Children>();
  private readonly byUsage = new Map<string, UsageChildren>();

  constructor(registry: Registry, gauges: { inFlight: () => number; queued: () => number; overflowed: () => number }) {
    const registers = [registry];
    this.requests = new Counter({ name: 'open_model_gateway_http_requests_total', help: 'Answered requests of the public API.', labelNames: ['method', 'route', 'status'], registers });
    this.duration = new Histogram({ name: 'open_model_gateway_http_request_duration_seconds', help: 'Time from the request to the end of its answer.', labelNames: ['method', 'route', 'status'], buckets: SECONDS, registers });
    this.apiDuration = new Histogram({ name: 'open_model_gateway_api_request_duration_seconds', help: 'Duration of calls that reached a model.', labelNames: ['model', 'provider', 'status'], buckets: SECONDS, registers });
    this.tokens = new Counter({ name: 'open_model_gateway_api_tokens_total', help: 'Tokens used.', labelNames: ['model', 'provider', 'type'], registers });
    this.cost = new Counter({ name: 'open_model_gateway_api_cost_usd_total', help: 'Cost of the calls in USD, for trends; the exact sums are in the reports.', labelNames: ['model', 'provider'], registers });
    this.ttft = new Histogram({ name: 'open_model_gateway_api_time_to_first_token_seconds', help: 'Time from the request to the first byte of a streamed answer.', labelNames: ['model', 'provider'], buckets: SECONDS, registers });
    this.overhead = new Histogram({ name: 'open_model_gateway_overhead_seconds', help: 'Time that the gateway itself added to an answer.', buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1], registers }).labels();
    gauge(registers, 'open_model_gateway_requests_in_flight', 'Running requests.', gauges.inFlight);
    gauge(registers, 'open_model_gateway_usage_queue_events', 'Usage events in memory that wait for the bus.', gauges.queued);
    gauge(registers, 'open_model_gateway_usage_queue_overflow_events', 'Usage events dropped from memory since the start; they are booked from Redis.', gauges.overflowed);
  }

  onRequest(ctx: RequestContext, durationMs: number): void {
    const children = this.requestChildren(ctx.request.method, ctx.endpoint.path, ctx.status);
    children.requests.inc();
    children.duration.observe(durationMs / 1000);
    const event = ctx.event;
    if (!event) return;
    const usage = this.usageChildren(event.modelAlias, event.provider, event.status);
    usage.duration.observe(durationMs / 1000);
    usage.prompt.inc(event.meters.inputTokens);
    usage.completion.inc(event.meters.outputTokens);
    if (event.costNano) usage.costUsd.inc(Number(event.costNano) / 1e9);
    if (event.stream && ctx.firstByteMs !== undefined) usage.ttft.observe(ctx.firstByteMs / 1000);
    if (!event.stream && ctx.attempts.length === 1) this.overhead.observe(Math.max(0, durationMs - ctx.attempts[0]!.latencyMs) / 1000);
  }

  private requestChildren(method: string, route: string, status: number): Children {
    const name = `${method} ${route} ${status}`;
    let children = this.byRequest.get(name);
    if (!children) {
      const labels = { method, route, status: String(status) };
      children = { requests: this.requests.labels(labels), duration: this.duration.labels(labels) };
      this.byRequest.set(name, children);
    }
    return children;
  }

  private usageChildren(alias: string, slug: string, status: number): UsageChildren {
    const name = `${alias} ${slug} ${status}`;
    const known = this.byUsage.get(name);
    if (known) return known;
    const full = this.byUsage.size >= LABEL_SETS_MAX;
    const model = full ? 'other' : alias;
    const provider = full ? 'other' : slug;
    const children = {
      duration: this.apiDuration.labels({ model, provider, status: String(status) }),
      prompt: this.tokens.labels({ model, provider, type: 'prompt' }),
      completion: this.tokens.labels({ model, provider, type: 'completion' }),
      costUsd: this.cost.labels({ model, provider }),
      ttft: this.ttft.labels({ model, provider }),
    };
    if (!full) this.byUsage.set(name, children);
    return children;
  }
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}
