import type {
  AdmissionState,
  AdmitRequest,
  AdmitResult,
  BudgetClaim,
  BudgetState,
  BudgetTotalSeed,
  ExtendHoldRequest,
  SettleRequest,
  StateRequest,
  StoredAttempt,
  WindowState,
} from './admission.types.js';

/**
 * What the Redis scripts promise, told a second time in the plainest way: lists that are summed anew at each question.
 * It shares no code with the scripts.
 */

const WINDOW_S = 60;
const MARK_MS = 300_000;

interface Attempt extends StoredAttempt {
  /** `cancelled`: a mark, for an admission that may still come; its time is the end of the mark's life. */
  state: 'open' | 'ended' | 'cancelled';
  second: number;
  tokens: number;
  windows: { scope: string; windowId: string }[];
}

interface Charge {
  second: number;
  requests: number;
  tokens: number;
}

interface Budget {
  open: bigint;
  spent?: bigint;
  version?: bigint;
  freshUntilMs?: number;
}

class WindowModel {
  charges: Charge[] = [];

  live(nowMs: number): Charge[] {
    return this.charges.filter((charge) => charge.second >= Math.floor(nowMs / 1000) - WINDOW_S);
  }

  used(nowMs: number, field: 'requests' | 'tokens'): number {
    return this.live(nowMs).reduce((sum, charge) => sum + charge[field], 0);
  }

  correct(nowMs: number, second: number, requests: number, tokens: number): void {
    if (second >= Math.floor(nowMs / 1000) - WINDOW_S) this.charges.push({ second, requests, tokens });
    else if (tokens > 0) this.charges.push({ second: Math.floor(nowMs / 1000), requests: 0, tokens });
  }

  waitMs(nowMs: number, field: 'requests' | 'tokens', limit: number): number {
    for (let second = Math.floor(nowMs / 1000) + 1; ; second++) if (this.used(second * 1000, field) < limit) return second * 1000 - nowMs;
  }

  state(nowMs: number, field: 'requests' | 'tokens', limit: number): WindowState {
    const last = Math.max(-Infinity, ...this.live(nowMs).map((charge) => charge.second));
    const resetMs = last === -Infinity ? 0 : (last + WINDOW_S + 1) * 1000 - nowMs;
    return { limit, remaining: Math.max(0, limit - this.used(nowMs, field)), resetMs };
  }
}

export class AdmissionModel {
  private windows = new Map<string, WindowModel>();
  private attempts = new Map<string, Attempt>();
  private budgets = new Map<string, Budget>();

  flush(): void {
    this.windows.clear();
    this.attempts.clear();
    this.budgets.clear();
  }

  admit(request: AdmitRequest, nowMs: number): AdmitResult {
    const scopes = this.scopesOf(request);
    const claims = claimsOf(request);
    const known = this.attempts.get(request.attemptId);
    if (known) return { admitted: true, heldNano: known.heldNano, ...this.stateOf(request, nowMs) };
    let held = request.holdNano;
    for (const { name, id, claim } of [...claims].reverse()) {
      const remaining = this.remaining(id, claim, request.unseededAllowanceNano);
      if (remaining < (request.holdMinNano > 1n ? request.holdMinNano : 1n)) {
        const retryAfterMs = Math.max(0, claim.windowEndMs - nowMs);
        return { admitted: false, reason: 'budget', scope: name, retryAfterMs, ...this.stateOf(request, nowMs) };
      }
      if (remaining < held) held = remaining;
    }
    const refusals: { reason: 'requests' | 'tokens' | 'parallel'; scope: 'key' | 'tenant'; retryAfterMs: number }[] = [];
    for (const [reason, field, limit] of [
      ['requests', 'requests', 'requestsPerMinute'],
      ['tokens', 'tokens', 'tokensPerMinute'],
    ] as const) {
      for (const { name, window, limits } of scopes) {
        if (window.used(nowMs, field) >= limits[limit]) refusals.push({ reason, scope: name, retryAfterMs: window.waitMs(nowMs, field, limits[limit]) });
      }
    }
    for (const { name, limits } of scopes) {
      const leases = this.leases(name === 'key' ? request.keyId : undefined, nowMs);
      if (leases.length >= limits.parallelRequests)
        refusals.push({ reason: 'parallel', scope: name, retryAfterMs: Math.min(1_000, Math.min(...leases) - nowMs) });
    }
    if (refusals.length > 0) {
      const retryAfterMs = Math.max(...refusals.map((refusal) => refusal.retryAfterMs));
      return { admitted: false, ...refusals[0]!, retryAfterMs, ...this.stateOf(request, nowMs) };
    }
    const second = Math.floor(nowMs / 1000);
    for (const { window } of scopes) window.charges.push({ second, requests: 1, tokens: request.estimatedTokens });
    if (held > 0n) for (const { id } of claims) this.addOpen(id, held, true);
    const { attemptId, tenantId, keyId, estimatedTokens: tokens, attempt: payload } = request;
    const windows = claims.map(({ id, claim }) => ({ scope: id, windowId: claim.windowId }));
    this.attempts.set(attemptId, {
      attemptId,
      tenantId,
      keyId,
      state: 'open',
      atMs: nowMs + request.leaseMs,
      heldNano: held,
      payload,
      second,
      tokens,
      windows,
    });
    return { admitted: true, heldNano: held, ...this.stateOf(request, nowMs) };
  }

  extendHold(request: ExtendHoldRequest): bigint | undefined {
    const attempt = this.attempts.get(request.attemptId);
    if (attempt?.state !== 'open') return undefined;
    let more = request.moreNano;
    for (const { id, claim } of claimsOf(request)) {
      const remaining = this.remaining(id, claim, request.unseededAllowanceNano);
      if (remaining < more) more = remaining;
    }
    if (more < 0n) more = 0n;
    if (more < request.moreMinNano) return undefined;
    attempt.heldNano += more;
    if (more > 0n) for (const { id } of claimsOf(request)) this.addOpen(id, more, true);
    return more;
  }

  settle(request: SettleRequest, nowMs: number): { wasOpen: boolean; isStored: boolean; budgets: AdmissionState['budgets'] } {
    const attempt = this.attempts.get(request.attemptId);
    const wasOpen = attempt?.state === 'open';
    const { attemptId, tenantId, keyId, costNano: heldNano, tokens, event: payload } = request;
    if (attempt && wasOpen) {
      for (const { scope } of attempt.windows) this.addOpen(scope, heldNano - attempt.heldNano, heldNano > attempt.heldNano);
      const diff = tokens - attempt.tokens;
      if (diff !== 0) for (const window of this.windowsOf(tenantId, keyId)) window.correct(nowMs, attempt.second, 0, diff);
      Object.assign(attempt, { state: 'ended', atMs: nowMs, heldNano, payload });
    } else if (!attempt) {
      const claims = claimsOf(request);
      for (const { id } of claims) if (heldNano > 0n) this.addOpen(id, heldNano, true);
      const windows = claims.map(({ id, claim }) => ({ scope: id, windowId: claim.windowId }));
      this.attempts.set(attemptId, { attemptId, tenantId, keyId, state: 'ended', atMs: nowMs, heldNano, payload, second: 0, tokens, windows });
    }
    return { wasOpen, isStored: wasOpen || !attempt, budgets: this.budgetStates(request.budgets, keyId, nowMs) };
  }

  cancel(tenantId: string, keyId: string, attemptId: string, nowMs: number): void {
    const attempt = this.attempts.get(attemptId);
    if (!attempt) {
      const nothing = { heldNano: 0n, payload: '', second: 0, tokens: 0, windows: [] };
      this.attempts.set(attemptId, { attemptId, tenantId, keyId, state: 'cancelled', atMs: nowMs + MARK_MS, ...nothing });
    }
    if (attempt?.state !== 'open') return;
    this.attempts.delete(attemptId);
    for (const { scope } of attempt.windows) this.addOpen(scope, -attempt.heldNano, false);
    for (const window of this.windowsOf(tenantId, keyId)) window.correct(nowMs, attempt.second, -1, -attempt.tokens);
  }

  renew(attemptId: string, leaseMs: number, nowMs: number): boolean {
    const attempt = this.attempts.get(attemptId);
    if (attempt?.state !== 'open') return false;
    attempt.atMs = nowMs + leaseMs;
    return true;
  }

  release(attemptIds: readonly string[], totals: readonly BudgetTotalSeed[]): void {
    for (const id of attemptIds) {
      const attempt = this.attempts.get(id);
      if (!attempt) continue;
      for (const { scope } of attempt.windows) this.addOpen(scope, -attempt.heldNano, false);
      this.attempts.delete(id);
    }
    this.seed(totals);
  }

  seed(totals: readonly BudgetTotalSeed[]): void {
    for (const total of totals) {
      const id = budgetId(total.scope, total.keyId ?? '', total.windowId);
      const budget: Budget = this.budgets.get(id) ?? { open: 0n };
      if (budget.version !== undefined && total.version < budget.version) continue;
      this.budgets.set(id, {
        ...budget,
        spent: total.spentNano,
        version: total.version,
        ...(total.freshUntilMs === undefined ? {} : { freshUntilMs: total.freshUntilMs }),
      });
    }
  }

  endExpired(attemptId: string, event: string, nowMs: number): boolean {
    const attempt = this.attempts.get(attemptId);
    if (attempt?.state !== 'open' || attempt.atMs >= nowMs) return false;
    Object.assign(attempt, { state: 'ended', atMs: nowMs, payload: event });
    return true;
  }

  list(state: 'open' | 'ended', olderThanMs: number, nowMs: number): StoredAttempt[] {
    for (const { attemptId, state: kind, atMs } of this.attempts.values()) {
      if (kind === 'cancelled' && atMs < nowMs) this.attempts.delete(attemptId);
    }
    return [...this.attempts.values()]
      .filter((attempt) => attempt.state === state && attempt.atMs < nowMs - olderThanMs)
      .sort((a, b) => a.atMs - b.atMs || (a.attemptId < b.attemptId === (state === 'open') ? -1 : 1))
      .map(({ attemptId, tenantId, keyId, atMs, heldNano, payload }) => ({ attemptId, tenantId, keyId, atMs, heldNano, payload }));
  }

  counts(): { open: number; ended: number } {
    const all = [...this.attempts.values()];
    return { open: all.filter((a) => a.state === 'open').length, ended: all.filter((a) => a.state === 'ended').length };
  }

  openByBudget(): Map<string, bigint> {
    return new Map([...this.budgets].map(([id, budget]) => [id, budget.open]));
  }

  private leases(keyId: string | undefined, nowMs: number): number[] {
    return [...this.attempts.values()].filter((a) => a.state === 'open' && a.atMs > nowMs && (keyId === undefined || a.keyId === keyId)).map((a) => a.atMs);
  }

  private remaining(id: string, claim: BudgetClaim, allowance: bigint): bigint {
    const budget = this.budgets.get(id) ?? { open: 0n };
    const ceiling = budget.spent === undefined ? (claim.limitNano < allowance ? claim.limitNano : allowance) : claim.limitNano - budget.spent;
    return ceiling - budget.open;
  }

  private addOpen(id: string, delta: bigint, create: boolean): void {
    const budget = this.budgets.get(id);
    if (!budget && !create) return;
    const open = (budget?.open ?? 0n) + delta;
    this.budgets.set(id, { ...budget, open: open < 0n ? 0n : open });
  }

  private window(id: string): WindowModel {
    const found = this.windows.get(id) ?? new WindowModel();
    this.windows.set(id, found);
    return found;
  }

  private windowsOf(tenantId: string, keyId: string): WindowModel[] {
    return [this.window(`key:${keyId}`), this.window(`tenant:${tenantId}`)];
  }

  private scopesOf({ tenantId, keyId, limits }: StateRequest) {
    const [key, tenant] = this.windowsOf(tenantId, keyId) as [WindowModel, WindowModel];
    return [
      { name: 'key' as const, window: key, limits: limits.key },
      { name: 'tenant' as const, window: tenant, limits: limits.tenant },
    ];
  }

  stateOf(request: StateRequest, nowMs: number): AdmissionState {
    const tighter = (field: 'requests' | 'tokens', limit: 'requestsPerMinute' | 'tokensPerMinute') => {
      const [key, tenant] = this.scopesOf(request).map(({ window, limits }) => window.state(nowMs, field, limits[limit])) as [WindowState, WindowState];
      return tenant.remaining < key.remaining ? tenant : key;
    };
    return {
      requests: tighter('requests', 'requestsPerMinute'),
      tokens: tighter('tokens', 'tokensPerMinute'),
      budgets: this.budgetStates(request.budgets, request.keyId, nowMs),
    };
  }

  private budgetStates(claims: AdmitRequest['budgets'], keyId: string, nowMs: number): AdmissionState['budgets'] {
    const state = (scope: 'tenant' | 'key', claim: BudgetClaim): BudgetState => {
      const budget = this.budgets.get(budgetId(scope, keyId, claim.windowId)) ?? { open: 0n };
      const stale = budget.freshUntilMs !== undefined && nowMs > budget.freshUntilMs;
      return { limitNano: claim.limitNano, spentNano: budget.spent, openNano: budget.open, needsSeed: budget.spent === undefined || stale };
    };
    const tenant = state('tenant', claims.tenant);
    return claims.key ? { tenant, key: state('key', claims.key) } : { tenant };
  }
}

export const budgetId = (scope: string, keyId: string, windowId: string): string => (scope === 'tenant' ? `tenant:${windowId}` : `key:${keyId}:${windowId}`);

function claimsOf({ budgets, keyId }: Pick<AdmitRequest, 'budgets' | 'keyId'>) {
  const claims: { name: 'tenant' | 'key'; id: string; claim: BudgetClaim }[] = [
    { name: 'tenant', id: budgetId('tenant', keyId, budgets.tenant.windowId), claim: budgets.tenant },
  ];
  if (budgets.key) claims.push({ name: 'key', id: budgetId('key', keyId, budgets.key.windowId), claim: budgets.key });
  return claims;
}
