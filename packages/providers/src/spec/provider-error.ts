import type { StreamProgress } from './provider.js';

/**
 * Why a provider call failed, in the gateway's words. The kind decides everything else: what the client is told, whether
 * another route is tried and whether the route's breaker counts it.
 */
export type ProviderErrorKind =
  | 'invalid_request' // 400, 422, 413: the client's fault, final
  | 'context_length'
  | 'content_filter'
  | 'unsupported_parameter' // we know that this provider cannot do it; `param` names the field
  | 'rate_limited' // 429
  | 'auth' // 401, 403: the gateway's credentials
  | 'not_found' // 404: the route is misconfigured
  | 'overloaded' // 503, 529
  | 'server_error' // other 5xx
  | 'timeout'
  | 'network'
  | 'malformed'; // an answer that we cannot read, or a stream that ended early

const FINAL: ReadonlySet<ProviderErrorKind> = new Set(['invalid_request', 'context_length', 'content_filter', 'unsupported_parameter']);

export interface ProviderErrorOptions {
  /** Upstream HTTP status, where there was one. */
  status?: number;
  retryAfterMs?: number;
  /** Name of the field at fault, where the provider told it. */
  param?: string;
  /** Upstream text: for the log only, cut to a bounded length by the caller. */
  internal?: string;
  /** What the failed call used all the same, as far as the provider told it. */
  consumed?: StreamProgress;
  cause?: unknown;
}

export class ProviderError extends Error {
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly param: string | undefined;
  readonly internal: string | undefined;
  /**
   * What the failed call used all the same: tokens of an answer that could not be read, parts of a fan-out that had ended well. It is
   * billed to whoever asked. Undefined: nothing that anyone told us.
   */
  consumed: StreamProgress | undefined;

  constructor(
    readonly kind: ProviderErrorKind,
    options: ProviderErrorOptions = {},
  ) {
    super(`provider call failed: ${kind}`, { cause: options.cause });
    this.name = 'ProviderError';
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.param = options.param;
    this.internal = options.internal;
    this.consumed = options.consumed;
  }

  /** The client's fault: no failover, not a failure of the route. */
  get isFinal(): boolean {
    return FINAL.has(this.kind);
  }
}
