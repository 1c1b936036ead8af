import type { RouteDocument, UsageEvent } from '@omg/contracts';
import type { BagItem, BudgetWindow, Cost, FallbackGrant, Meters, NanoUsd, RateLimits, UsageSource } from '@omg/domain';
import type { Cancellation } from '@omg/providers';
import type { AdmissionState, BudgetClaim } from '@omg/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EdgeServices } from '../edge-services.js';
import type { KeyEntry } from '../snapshot/key-cache.js';
import type { ModelEntry, RouteEntry, TenantEntry } from '../snapshot/config-snapshot.js';
import type { Entitlement } from './entitlement.js';
import type { Endpoint, ParsedRequest } from './endpoint.js';
import type { RequestTrace } from './request-trace.js';

/** Who calls: set by authenticate. */
export interface Caller {
  key: KeyEntry;
  tenant: TenantEntry;
}

/** What admission granted: set by admit, closed by settle. */
export interface Grant {
  /** UUIDv7 by the server clock: the id of the usage row. */
  attemptId: string;
  admittedAtMs: number;
  schedule: string;
  window: BudgetWindow;
  budgets: { tenant: BudgetClaim; key?: BudgetClaim };
  limits: { key: RateLimits; tenant: RateLimits };
  /** What each attempt is to be held for; `heldNano` may be less, down to `minNano`, where not more remained. */
  wanted: { nano: NanoUsd; minNano: NanoUsd; outputTokens: number };
  /** For all attempts together. */
  heldNano: NanoUsd;
  /** What the per-process limits granted while Redis was away. */
  local: FallbackGrant | undefined;
  /** Redis knows the attempt; false while Redis is away. */
  inRedis: boolean;
  /** Ceiling of the output that strict enforcement sets. */
  outputTokensCap: number | undefined;
}

/** The client left, a time limit passed, the reader was too slow, or the process stops. */
export type AbortReason = 'client' | 'deadline' | 'slow_reader' | 'shutdown';

/** What was used: known once the answer is. */
export interface Consumption {
  meters: Meters;
  source: UsageSource;
  cost: Cost;
}

/** How one upstream try ended. */
export interface AttemptOutcome {
  route: RouteDocument;
  status: number;
  errorCode?: string;
  latencyMs: number;
  /** What a failed try was billed all the same, at its own route's price. */
  billed?: Billed;
}

export interface Billed {
  consumption: Consumption;
  priceVersionId: string | undefined;
}

/**
 * One request on its way through the pipeline. Steps read what earlier steps set and set their own part; nothing else
 * is shared between them.
 */
export interface RequestContext extends BagItem {
  readonly services: EdgeServices;
  readonly endpoint: Endpoint;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly requestId: string;
  /** What usage events carry on: of our own span when the request is traced, else as the client sent it. */
  readonly traceparent: string | undefined;
  /** Undefined: not traced. */
  readonly trace: RequestTrace | undefined;
  /** Monotonic, milliseconds. */
  readonly startedAt: number;
  /** Why the request was given up, if it was. */
  abortReason: AbortReason | undefined;
  /** The upstream try that runs now. */
  attempt: Cancellation | undefined;

  caller: Caller | undefined;
  /** What its body has taken of the memory for bodies. */
  bodyBytes: number;
  raw: Buffer;
  json: Record<string, unknown>;
  parsed: ParsedRequest | undefined;
  alias: string;
  model: ModelEntry | undefined;
  idempotency: { key: string; complete?: (status: number, contentType: string, body: Buffer) => Promise<void>; abort?: () => Promise<void> } | undefined;
  entitlement: Entitlement | undefined;
  grant: Grant | undefined;
  /** What the rate-limit and budget headers are made from. */
  admission: AdmissionState | undefined;
  /** Routes that can do what the request asks. */
  capable: readonly RouteEntry[];
  /** Routes in the order in which they are tried. */
  plan: readonly RouteEntry[];
  route: RouteEntry | undefined;
  /** What the route's breaker told the running try at its start. */
  routeGeneration: number;
  attempts: AttemptOutcome[];
  /** Time to the first byte of the answer, milliseconds. */
  firstByteMs: number | undefined;
  status: number;
  errorCode: string | undefined;
  /** Set by settle: exactly one per request that passed parsing. */
  event: UsageEvent | undefined;
}

/** Gives the request up: the running upstream call is cancelled at once, the finalizer still runs. */
export function abortRequest(ctx: RequestContext, reason: AbortReason): void {
  ctx.abortReason ??= reason;
  ctx.attempt?.abort();
}
