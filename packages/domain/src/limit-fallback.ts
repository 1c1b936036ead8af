import { SlidingWindow } from './limit-window.js';
import type { RateLimits } from './limit.js';
import type { NanoUsd } from './money.js';

/**
 * Admission while the shared store is away: limits per process, and of each budget a small part of what was last seen to
 * remain. It keeps customers served through a short outage at a stated price: one process grants at most
 * `limitShare` of each limit, and spends at most the allowance of each budget (plus output beyond the holds of its
 * running calls) until the store is back.
 */
export interface FallbackOptions {
  /** Part of every rate limit that this process grants; 1 / number of edge processes keeps the sum at the limit. */
  limitShare: number;
  /** Part of a budget's last seen remainder that this process may spend, in per mille. */
  budgetSharePermille: number;
  /** Never more than this, however much remained. */
  budgetAllowanceMaxNano: NanoUsd;
  /** Virtual keys and tenants, and their budgets, that are kept; the least recently used go first. */
  scopesMax: number;
}

export interface FallbackClaim {
  windowId: string;
  limitNano: NanoUsd;
}

/** An admission request of the shared store can be passed as it is. */
export interface FallbackRequest {
  tenantId: string;
  keyId: string;
  limits: { key: RateLimits; tenant: RateLimits };
  estimatedTokens: number;
  holdNano: NanoUsd;
  holdMinNano: NanoUsd;
  budgets: { tenant: FallbackClaim; key?: FallbackClaim };
}

export interface FallbackWindowState {
  limit: number;
  remaining: number;
  resetMs: number;
}

export interface FallbackBudgetState {
  limitNano: NanoUsd;
  /** Undefined: never seen by this process in this window. */
  spentNano: NanoUsd | undefined;
  openNano: NanoUsd;
  needsSeed: boolean;
}

export interface FallbackState {
  requests: FallbackWindowState;
  tokens: FallbackWindowState;
  budgets: { tenant: FallbackBudgetState; key?: FallbackBudgetState };
}

/** What an admitted call took; to be settled or cancelled exactly once. */
export interface FallbackGrant {
  heldNano: NanoUsd;
  /** Opaque to the caller. */
  taken: { scopes: [Scope, Scope]; budgets: BudgetSight[]; requestSecond: number; tokenSecond: number; tokens: number };
}

export type FallbackResult =
  | ({ admitted: true; heldNano: NanoUsd; grant: FallbackGrant } & FallbackState)
  | ({
      admitted: false;
      /** `budget`: it was seen to be used up. `budget_unknown`: the allowance is spent, or the budget was never seen. */
      reason: 'requests' | 'tokens' | 'parallel' | 'budget' | 'budget_unknown';
      scope: 'key' | 'tenant';
      retryAfterMs: number;
    } & FallbackState);

interface Scope {
  requests: SlidingWindow;
  tokens: SlidingWindow;
  running: number;
}

interface BudgetSight {
  windowId: string;
  limitNano: NanoUsd;
  /** Undefined: never seen; nothing is granted on it. */
  spentNano: NanoUsd | undefined;
  openNano: NanoUsd;
  /** Held by running calls and spent by ended ones since the last sight, by this process. */
  takenNano: NanoUsd;
}

type BudgetScope = 'tenant' | 'key';

export class FallbackLimiter {
  private readonly scopes = new Map<string, Scope>();
  private readonly sights = new Map<string, BudgetSight>();

  constructor(private readonly options: FallbackOptions) {}

  /** Remembers the budgets as the shared store told them with its last answer. */
  observe(request: Pick<FallbackRequest, 'tenantId' | 'keyId' | 'budgets'>, seen: { tenant: FallbackBudgetState; key?: FallbackBudgetState }): void {
    for (const scope of ['tenant', 'key'] as const) {
      const state = seen[scope];
      const claim = request.budgets[scope];
      if (!state || !claim || state.spentNano === undefined) continue;
      const { limitNano, spentNano, openNano } = state;
      const id = sightId(scope, request);
      const old = this.sights.get(id);
      // Calls that were granted here and still run keep their object: they take their hold back from a past sight.
      this.remember(this.sights, id, { windowId: claim.windowId, limitNano, spentNano, openNano, takenNano: 0n }, old);
    }
  }

  /** Decides like the shared store: budget first, then requests, tokens and parallel; a refusal consumes nothing. */
  admit(request: FallbackRequest, nowMs: number): FallbackResult {
    const key = this.scope(`key:${request.keyId}`);
    const tenant = this.scope(`tenant:${request.tenantId}`);
    const budgets = this.budgets(request);
    const limits = { key: this.share(request.limits.key), tenant: this.share(request.limits.tenant) };
    const state = () => stateOf(key, tenant, limits, budgets, nowMs);

    let heldNano = request.holdNano;
    for (const [scope, sight] of budgets) {
      const leftNano = this.leftNano(sight);
      if (leftNano < max(1n, request.holdMinNano)) {
        const usedUp = sight.spentNano !== undefined && sight.limitNano - sight.spentNano - sight.openNano < 1n;
        return { admitted: false, reason: usedUp ? 'budget' : 'budget_unknown', scope, retryAfterMs: 0, ...state() };
      }
      heldNano = min(heldNano, leftNano);
    }
    const refusal = refuse({ key, tenant }, limits, nowMs);
    if (refusal) return { admitted: false, ...refusal, ...state() };

    const tokens = request.estimatedTokens;
    for (const one of [key, tenant]) one.running++;
    key.requests.charge(nowMs, 1);
    key.tokens.charge(nowMs, tokens);
    const requestSecond = tenant.requests.charge(nowMs, 1);
    const tokenSecond = tenant.tokens.charge(nowMs, tokens);
    for (const [, sight] of budgets) sight.takenNano += heldNano;
    const taken = { scopes: [key, tenant] as [Scope, Scope], budgets: budgets.map(([, sight]) => sight), requestSecond, tokenSecond, tokens };
    return { admitted: true, heldNano, grant: { heldNano, taken }, ...state() };
  }

  /** The call ended: real tokens and cost instead of what was charged and held. */
  settle(grant: FallbackGrant, tokens: number, costNano: NanoUsd, nowMs: number): void {
    const { taken } = grant;
    for (const scope of taken.scopes) {
      scope.running--;
      scope.tokens.correct(nowMs, taken.tokenSecond, tokens - taken.tokens);
    }
    for (const sight of taken.budgets) sight.takenNano = max(0n, sight.takenNano + costNano - grant.heldNano);
  }

  /** As if the call had never been. */
  cancel(grant: FallbackGrant, nowMs: number): void {
    for (const scope of grant.taken.scopes) scope.requests.correct(nowMs, grant.taken.requestSecond, -1);
    this.settle(grant, 0, 0n, nowMs);
  }

  private share(limits: RateLimits): RateLimits {
    const part = (limit: number) => Math.max(1, Math.floor(limit * this.options.limitShare));
    return {
      requestsPerMinute: part(limits.requestsPerMinute),
      tokensPerMinute: part(limits.tokensPerMinute),
      parallelRequests: part(limits.parallelRequests),
    };
  }

  private leftNano(sight: BudgetSight): NanoUsd {
    if (sight.spentNano === undefined) return 0n;
    const remainingNano = sight.limitNano - sight.spentNano - sight.openNano;
    const shareNano = (remainingNano * BigInt(this.options.budgetSharePermille)) / 1000n;
    return min(shareNano, this.options.budgetAllowanceMaxNano) - sight.takenNano;
  }

  private budgets(request: FallbackRequest): [BudgetScope, BudgetSight][] {
    const found: [BudgetScope, BudgetSight][] = [];
    for (const scope of ['key', 'tenant'] as const) {
      const claim = request.budgets[scope];
      if (!claim) continue;
      const sight = this.sights.get(sightId(scope, request));
      if (sight?.windowId === claim.windowId) found.push([scope, sight]);
      else found.push([scope, { windowId: claim.windowId, limitNano: claim.limitNano, spentNano: undefined, openNano: 0n, takenNano: 0n }]);
    }
    return found;
  }

  private scope(id: string): Scope {
    const known = this.scopes.get(id);
    const scope = known ?? { requests: new SlidingWindow(), tokens: new SlidingWindow(), running: 0 };
    this.remember(this.scopes, id, scope, known);
    return scope;
  }

  /** Most recently used last; the first goes when there is no room. */
  private remember<T>(map: Map<string, T>, id: string, value: T, known: T | undefined): void {
    if (known !== undefined) map.delete(id);
    else if (map.size >= this.options.scopesMax) {
      const oldest = map.keys().next();
      if (!oldest.done) map.delete(oldest.value);
    }
    map.set(id, value);
  }
}

function refuse(
  scopes: { key: Scope; tenant: Scope },
  limits: { key: RateLimits; tenant: RateLimits },
  nowMs: number,
): { reason: 'requests' | 'tokens' | 'parallel'; scope: BudgetScope; retryAfterMs: number } | undefined {
  let refusal: { reason: 'requests' | 'tokens' | 'parallel'; scope: BudgetScope; retryAfterMs: number } | undefined;
  const add = (reason: 'requests' | 'tokens' | 'parallel', scope: BudgetScope, waitMs: number) => {
    refusal = { ...(refusal ?? { reason, scope }), retryAfterMs: Math.max(refusal?.retryAfterMs ?? 0, waitMs) };
  };
  for (const scope of ['key', 'tenant'] as const) {
    const waitMs = scopes[scope].requests.waitMs(nowMs, limits[scope].requestsPerMinute);
    if (waitMs > 0) add('requests', scope, waitMs);
  }
  for (const scope of ['key', 'tenant'] as const) {
    const waitMs = scopes[scope].tokens.waitMs(nowMs, limits[scope].tokensPerMinute);
    if (waitMs > 0) add('tokens', scope, waitMs);
  }
  for (const scope of ['key', 'tenant'] as const) {
    if (scopes[scope].running >= limits[scope].parallelRequests) add('parallel', scope, 1_000);
  }
  return refusal;
}

function stateOf(
  key: Scope,
  tenant: Scope,
  limits: { key: RateLimits; tenant: RateLimits },
  budgets: readonly [BudgetScope, BudgetSight][],
  nowMs: number,
): FallbackState {
  const window = (of: 'requests' | 'tokens', field: 'requestsPerMinute' | 'tokensPerMinute'): FallbackWindowState => {
    const [ofKey, ofTenant] = (['key', 'tenant'] as const).map((name) => {
      const used = (name === 'key' ? key : tenant)[of];
      const limit = limits[name][field];
      return { limit, remaining: Math.max(0, limit - used.used(nowMs)), resetMs: used.resetMs(nowMs) };
    }) as [FallbackWindowState, FallbackWindowState];
    return ofTenant.remaining < ofKey.remaining ? ofTenant : ofKey;
  };
  const states: Partial<Record<BudgetScope, FallbackBudgetState>> = {};
  for (const [scope, { limitNano, spentNano, openNano, takenNano }] of budgets) {
    states[scope] = { limitNano, spentNano, openNano: openNano + takenNano, needsSeed: false };
  }
  return {
    requests: window('requests', 'requestsPerMinute'),
    tokens: window('tokens', 'tokensPerMinute'),
    budgets: states as FallbackState['budgets'],
  };
}

const sightId = (scope: BudgetScope, request: { tenantId: string; keyId: string }): string =>
  scope === 'tenant' ? `tenant:${request.tenantId}` : `key:${request.keyId}`;
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
