import type { NanoUsd, RateLimits } from '@omg/domain';

/**
 * Admission, settlement and release of one request, as the edge and the recorder see it.
 *
 * An attempt lives in Redis from admission until its row is in Postgres:
 *   admit   -> open: counts in the windows, holds a lease and a part of the budget
 *   settle  -> ended: the lease is free, the hold is the actual cost, the usage event is stored
 *   release -> gone: the recorder committed it, the spend is Postgres's total now
 * All keys of a tenant share the hash tag `{tenantId}`, so each step is one call, also on Redis Cluster.
 */

/** A budget that the request counts against, in one window. */
export interface BudgetClaim {
  windowId: string;
  windowEndMs: number;
  limitNano: NanoUsd;
}

export interface AdmitRequest {
  attemptId: string;
  tenantId: string;
  keyId: string;
  limits: { key: RateLimits; tenant: RateLimits };
  /** Input estimate and expected output: what the token window is charged with until the settlement. */
  estimatedTokens: number;
  /** Wanted hold; the script caps it by what remains. */
  holdNano: NanoUsd;
  /** The least hold that makes sense (strict enforcement: input and one output token); refused when less remains. */
  holdMinNano: NanoUsd;
  budgets: { tenant: BudgetClaim; key?: BudgetClaim };
  /** How much may be open while Postgres's total for the window is not known to Redis. */
  unseededAllowanceNano: NanoUsd;
  leaseMs: number;
  /** What a reaper needs to book the attempt if nobody settles it: JSON, at most 2 KiB. */
  attempt: string;
}

export type StateRequest = Pick<AdmitRequest, 'tenantId' | 'keyId' | 'limits' | 'budgets'>;

export interface WindowState {
  limit: number;
  remaining: number;
  /** Until the window is empty again; 0 when it is. */
  resetMs: number;
}

export interface BudgetState {
  limitNano: NanoUsd;
  /** Undefined: not seeded. */
  spentNano: NanoUsd | undefined;
  /** Held by running calls and settled calls that are not in Postgres yet, this one included. */
  openNano: NanoUsd;
  /** Postgres's total is missing, or (rolling windows) older than its slot: ask the recorder for a seed. */
  needsSeed: boolean;
}

export interface AdmissionState {
  /** The tighter of key and tenant. */
  requests: WindowState;
  tokens: WindowState;
  budgets: { tenant: BudgetState; key?: BudgetState };
}

export type AdmitResult =
  | ({ admitted: true; heldNano: NanoUsd } & AdmissionState)
  | ({
      admitted: false;
      reason: 'requests' | 'tokens' | 'parallel' | 'budget';
      scope: 'key' | 'tenant';
      /** Exact for windows; at most 1 s for `parallel`; to the end of the window for budgets (0: rolling). */ retryAfterMs: number;
    } & AdmissionState);

export interface ExtendHoldRequest {
  attemptId: string;
  tenantId: string;
  keyId: string;
  /** Wanted on top of the hold; the script caps it by what remains. */
  moreNano: NanoUsd;
  /** The least that makes sense; 0 or less: what is held already will do. */
  moreMinNano: NanoUsd;
  /** The claims of the admission, not of the present window. */
  budgets: AdmitRequest['budgets'];
  unseededAllowanceNano: NanoUsd;
}

export interface SettleRequest {
  attemptId: string;
  tenantId: string;
  keyId: string;
  /** Real tokens; the window is corrected by the difference to the estimate. */
  tokens: number;
  /** Real cost; 0 when unknown or when nothing was consumed. */
  costNano: NanoUsd;
  /** The usage event as JSON: stored until the recorder releases it. */
  event: string;
  /** The claims of the admission, not of the present window. */
  budgets: { tenant: BudgetClaim; key?: BudgetClaim };
}

export interface SettleResult {
  /** False: the attempt was not open any more (settled before, reaped, or Redis lost it). */
  wasOpen: boolean;
  /** False: Redis has another end of the attempt, such as the reaper's estimate, and keeps that. */
  isStored: boolean;
  budgets: AdmissionState['budgets'];
}

/** A total that the recorder read from Postgres in the transaction that changed it. */
export interface BudgetTotalSeed {
  scope: 'tenant' | 'key';
  keyId?: string;
  windowId: string;
  windowEndMs: number;
  spentNano: NanoUsd;
  /** Monotone per scope and window: a total with an older version is ignored. */
  version: bigint;
  /** Rolling windows: until when the total is fresh. */
  freshUntilMs?: number;
  /** For how long it is fresh from now on, by Redis's time; without effect beside `freshUntilMs`. */
  freshForMs?: number;
}

export interface StoredAttempt {
  attemptId: string;
  tenantId: string;
  keyId: string;
  /** Lease end of an open attempt, end time of an ended one. */
  atMs: number;
  heldNano: NanoUsd;
  /** AdmitRequest.attempt, or the usage event of an ended attempt. */
  payload: string;
}

/**
 * The edge's side. Every call rejects with a RedisUnavailableError within its command timeout when Redis is away or slow.
 * A rejected admit may have been carried out: the edge settles the attempt under the same id if it served the request
 * all the same, and cancels it if not.
 */
export interface AdmissionStore {
  admit(request: AdmitRequest): Promise<AdmitResult>;
  /**
   * Before one more attempt of a call whose failed attempts were billed: raises its hold. Resolves with what is held more,
   * undefined when that is not to be had or the attempt is not open any more.
   */
  extendHold(request: ExtendHoldRequest): Promise<NanoUsd | undefined>;
  /** Idempotent: the first settlement of an attempt counts. */
  settle(request: SettleRequest): Promise<SettleResult>;
  /** Prolongs the lease of a long stream. False: not open any more. */
  renew(tenantId: string, keyId: string, attemptId: string, leaseMs: number): Promise<boolean>;
  /**
   * Gives everything back as if the request had never been (nothing was sent upstream); an admission that Redis carries
   * out only after this changes nothing. While Redis is away the cancellation is kept (bounded) and sent when it is back,
   * so this does not reject for that.
   */
  cancel(tenantId: string, keyId: string, attemptId: string): Promise<void>;
  /** What is left, for the headers of answers that were never admitted (model lists, errors, replays). Changes nothing. */
  readState(request: StateRequest): Promise<AdmissionState>;
  /** Redis's time in milliseconds. */
  serverTimeMs(): Promise<number>;
}

/** The recorder's side. */
export interface LedgerStore {
  /** After the commit: frees the holds of the attempts and takes over the totals, in one call per tenant. Idempotent. */
  release(tenantId: string, attemptIds: readonly string[], totals: readonly BudgetTotalSeed[]): Promise<void>;
  seed(tenantId: string, totals: readonly BudgetTotalSeed[]): Promise<void>;
  /** How many attempts the next two would find or clear away; 0 for most tenants at most times. */
  dueAttempts(tenantId: string, olderThanMs: number): Promise<number>;
  /** Open attempts whose lease ended before now (Redis's time) minus `olderThanMs`. */
  expiredAttempts(tenantId: string, olderThanMs: number, limit: number): Promise<StoredAttempt[]>;
  /** Ended attempts that nobody released for `olderThanMs`. */
  endedAttempts(tenantId: string, olderThanMs: number, limit: number): Promise<StoredAttempt[]>;
  /** Turns an expired open attempt into an ended one with this event; false when it is no longer open. */
  endExpired(tenantId: string, attemptId: string, event: string): Promise<boolean>;
  /** Tenants that an edge announced in the last minutes, and all others that still have an attempt, open or ended. */
  activeTenants(): Promise<string[]>;
  /** For `./omg verify`: what Redis holds of a tenant's budgets, and how many attempts are open or ended. */
  inspect(tenantId: string): Promise<{
    budgets: { scope: string; keyId?: string; windowId: string; spentNano?: NanoUsd; openNano: NanoUsd; version?: bigint }[];
    open: number;
    ended: number;
  }>;
}
