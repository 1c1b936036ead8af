// First: nothing else may be loaded on a Node that is too old.
import './service/require-node.js';
export { loadConfig, ConfigError, type LoadConfigOptions, type LoadedConfig } from './config/load-config.js';
export { type Config, type ConfigOf, type SectionName } from './config/schema.js';
export { catalogEntrySchema, PROVIDER_BLOCKS, type CatalogEntry, type CatalogItem } from './config/sections/catalog.js';
export { formatDuration, parseDurationMs } from './config/duration.js';
export { createLogger, describeError, type Logger, type LoggerOptions } from './logging/logger.js';
export { scrub } from './logging/redaction.js';
export { Lifecycle } from './lifecycle/lifecycle.js';
export { DeadlineError, withDeadline } from './lifecycle/deadline.js';
export { errorClass, type ErrorClass } from './health/error-class.js';
export { HealthRegistry, type HealthReport, type CheckResult } from './health/health-registry.js';
export { Count, CounterFamily, Distribution, GaugeFamily, HistogramFamily, Level, type FamilyDescription } from './metrics/families.js';
export { HTTP_BUCKETS, httpMetrics, METRIC_PREFIX, Metrics, type HttpMetrics } from './metrics/metrics.js';
export { parseListenAddress } from './service/listen-address.js';
export {
  runService,
  startService,
  type RunningService,
  type ServiceContext,
  type ServiceOptions,
  type ServiceParts,
  type StartInputs,
} from './service/run-service.js';
export { observeConnections } from './service/observe-connections.js';
export { Shutdown } from './service/shutdown.js';
export { genAiAttributes, genAiSpanName, type GenAiCall } from './tracing/gen-ai.js';
export { formatTraceparent, parseTraceparent, type TraceParent } from './tracing/traceparent.js';
export { createTracing, inSpan, TRACING_OFF, type SpanOptions, type TraceSpan, type Tracing, type TracingOptions } from './tracing/tracing.js';
