import { ERROR_CATALOG, type ErrorCode, type ErrorEntry } from './catalog.js';

export interface GatewayErrorOptions {
  /** Replaces the catalogue's public text; written by us, never upstream text. */
  message?: string;
  /** Name of the request field at fault. */
  param?: string;
  /** Replaces the catalogue's `type`, for `rate_limit_exceeded` by tokens. */
  type?: string;
  retryAfterMs?: number;
  /** For the log only. */
  internal?: string;
  cause?: unknown;
}

/** An outcome that the client is told about. Anything else that is thrown becomes a plain 500. */
export class GatewayError extends Error {
  readonly entry: ErrorEntry;
  readonly param: string | null;
  readonly type: string;
  readonly retryAfterMs: number | undefined;
  readonly internal: string | undefined;

  constructor(
    readonly code: ErrorCode,
    options: GatewayErrorOptions = {},
  ) {
    super(options.message ?? ERROR_CATALOG[code].message, { cause: options.cause });
    this.name = 'GatewayError';
    this.entry = ERROR_CATALOG[code];
    this.param = options.param ?? null;
    this.type = options.type ?? this.entry.type;
    this.retryAfterMs = options.retryAfterMs;
    this.internal = options.internal;
  }

  get status(): number {
    return this.entry.status;
  }

  /** OpenAI's error object, as both official SDKs read it. */
  toBody(): { error: { message: string; type: string; param: string | null; code: string } } {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}
