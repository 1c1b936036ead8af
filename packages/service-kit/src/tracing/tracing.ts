import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Span as ApiSpan, type Tracer } from '@opentelemetry/api';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

/**
 * Traces. Whether a request is traced is decided before any span is made, so an untraced one costs a random number: `start`
 * returns undefined and nothing else happens. A sampled parent is followed; without a parent the ratio decides.
 *
 * Spans hold ids, names, sizes and times, never prompts, keys or headers.
 */
export interface Tracing {
  readonly isOn: boolean;
  /** Undefined: not traced. */
  start(name: string, options: SpanOptions): TraceSpan | undefined;
  /** Of requests without a sampled parent, from now on. */
  setSampleRatio(ratio: number): void;
  /** Sends what is queued; at most two seconds. */
  close(): Promise<void>;
}

export interface SpanOptions {
  kind: 'server' | 'client' | 'producer' | 'consumer' | 'internal';
  /** The span before, or the `traceparent` that it sent. */
  parent?: TraceSpan | string | undefined;
  /** Without a sampled parent there is no span. For work that only continues what others began. */
  onlyWithParent?: boolean;
  startTimeMs?: number;
  attributes?: Attributes;
}

export interface TraceSpan {
  /** For headers and payloads. */
  readonly traceparent: string;
  readonly traceId: string;
  set(attributes: Attributes): void;
  /** `reason`: a stable code, never a text from elsewhere. */
  fail(reason: string): void;
  end(atMs?: number): void;
}

export interface TracingOptions {
  service: string;
  version: string;
  enabled: boolean;
  endpoint: string;
  sampleRatio: number;
  random?: () => number;
}

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;
const QUEUE_MAX = 2048;
const BATCH_MAX = 512;
const EXPORT_TIMEOUT_MS = 2000;
const EXPORT_EVERY_MS = 1000;
const TEXT_CHARS_MAX = 256;

export const TRACING_OFF: Tracing = { isOn: false, start: () => undefined, setSampleRatio: () => undefined, close: () => Promise.resolve() };

/**
 * Opens the exporter (OTLP over gRPC). Off: nothing is loaded. A missing collector is tolerated: spans are dropped beyond the
 * queue's bound, and nothing is logged.
 */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  if (!options.enabled || options.sampleRatio < 0) return TRACING_OFF;
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-grpc'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({ url: endpointUrl(options.endpoint), timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': options.service, 'service.version': options.version, 'service.namespace': 'open-model-gateway' }),
    spanLimits: { attributeValueLengthLimit: TEXT_CHARS_MAX, attributeCountLimit: 64 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: exporter as never,
        maxQueueSize: QUEUE_MAX,
        maxExportBatchSize: BATCH_MAX,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('open-model-gateway', options.version);
  return new OtlpTracing(tracer, options, async () => {
    const late = new Promise((resolve) => setTimeout(resolve, EXPORT_TIMEOUT_MS).unref());
    await Promise.race([provider.shutdown().catch(() => undefined), late]);
  });
}

/** No scheme is plain text, as `http` is. */
export function endpointUrl(endpoint: string): string {
  return endpoint.includes('://') ? endpoint : `http://${endpoint}`;
}

/** Runs `work` inside a span, if there is one; a failure is noted on it by the error's name alone. */
export async function inSpan<T>(tracing: Tracing, name: string, options: SpanOptions, work: (span: TraceSpan | undefined) => Promise<T>): Promise<T> {
  const span = tracing.start(name, options);
  try {
    return await work(span);
  } catch (error) {
    span?.fail(error instanceof Error ? error.name : 'error');
    throw error;
  } finally {
    span?.end();
  }
}

class OtlpTracing implements Tracing {
  readonly isOn = true;
  private readonly random: () => number;
  private sampleRatio: number;

  constructor(
    private readonly tracer: Tracer,
    options: TracingOptions,
    readonly close: () => Promise<void>,
  ) {
    this.random = options.random ?? Math.random;
    this.sampleRatio = options.sampleRatio;
  }

  setSampleRatio(ratio: number): void {
    this.sampleRatio = ratio;
  }

  start(name: string, options: SpanOptions): TraceSpan | undefined {
    const { parent } = options;
    const remote = typeof parent === 'string' ? parseTraceparent(parent) : parent instanceof OtlpSpan ? { ...parent.context, isSampled: true } : undefined;
    const isSampled = remote ? remote.isSampled : options.onlyWithParent !== true && this.random() < this.sampleRatio;
    if (!isSampled) return undefined;
    const context = remote
      ? trace.setSpanContext(ROOT_CONTEXT, { traceId: remote.traceId, spanId: remote.spanId, traceFlags: 1, isRemote: typeof parent === 'string' })
      : ROOT_CONTEXT;
    const { kind, startTimeMs, attributes } = options;
    return new OtlpSpan(
      this.tracer.startSpan(name, { kind: KINDS[kind], ...(startTimeMs === undefined ? {} : { startTime: startTimeMs }), attributes }, context),
    );
  }
}

class OtlpSpan implements TraceSpan {
  readonly context: { traceId: string; spanId: string };

  constructor(private readonly span: ApiSpan) {
    const { traceId, spanId } = span.spanContext();
    this.context = { traceId, spanId };
  }

  get traceparent(): string {
    return formatTraceparent({ ...this.context, isSampled: true });
  }

  get traceId(): string {
    return this.context.traceId;
  }

  set(attributes: Attributes): void {
    this.span.setAttributes(attributes);
  }

  fail(reason: string): void {
    this.span.setAttribute('error.type', reason);
    this.span.setStatus({ code: SpanStatusCode.ERROR });
  }

  end(atMs?: number): void {
    this.span.end(atMs);
  }
}
