import type { AdmissionStore, IdempotencyStore } from '@omg/storage';
import type { Bag, FallbackLimiter } from '@omg/domain';
import type { Transport } from '@omg/providers';
import type { Tracing } from '@omg/service-kit';
import type { Allowances } from './allowances.js';
import type { EdgeConfig } from './config.js';
import type { RequestContext } from './data-plane/context.js';
import type { BodyMemory } from './data-plane/read-body.js';
import type { WindowCache } from './data-plane/entitlement.js';
import type { EdgeClock } from './edge-clock.js';
import type { EdgeMetrics } from './edge-metrics.js';
import type { UsageOutlet } from './metering/usage-outlet.js';
import type { BudgetSeeds } from './metering/budget-seeds.js';
import type { ConfigSnapshot } from './snapshot/config-snapshot.js';
import type { KeyCache } from './snapshot/key-cache.js';
import type { UnknownKeyLimit } from './snapshot/unknown-key-limit.js';
import type { RetryBudget } from './upstream/retry-budget.js';
import type { RouteStates } from './upstream/route-states.js';

/** The part of a pino logger that the data plane uses. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Everything that the pipeline's steps use; built once, at the start. */
export interface EdgeServices {
  config: EdgeConfig;
  clock: EdgeClock;
  snapshot: ConfigSnapshot;
  keys: KeyCache;
  unknownKeys: UnknownKeyLimit;
  windows: WindowCache;
  admission: AdmissionStore;
  idempotency: IdempotencyStore;
  /** Bytes of answers that a tenant may have replayed. */
  replays: Allowances;
  /** Bytes of answers that are kept for a tenant. */
  keptAnswers: Allowances;
  /** Stands in while Redis is away. */
  fallback: FallbackLimiter;
  seeds: BudgetSeeds;
  usage: UsageOutlet;
  routing: RouteStates;
  retries: RetryBudget;
  transport: Transport;
  metrics: EdgeMetrics;
  tracing: Tracing;
  log: Log;
  inFlight: Bag<RequestContext>;
  bodies: BodyMemory;
  /** Random bytes from a pool: a system call per id would be felt. */
  random(bytes: number): Uint8Array;
}
