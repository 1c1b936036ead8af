import { describe, expect, it } from '@jest/globals';
import { FallbackLimiter, type FallbackRequest } from './limit-fallback.js';

const WIDE = { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000, parallelRequests: 1_000_000 };
const OPTIONS = { limitShare: 0.5, budgetSharePermille: 100, budgetAllowanceMaxNano: 1_000n, scopesMax: 100 };

const request = (change: Partial<FallbackRequest> = {}): FallbackRequest => ({
  tenantId: 't1',
  keyId: 'k1',
  limits: { key: WIDE, tenant: WIDE },
  estimatedTokens: 10,
  holdNano: 10n,
  holdMinNano: 0n,
  budgets: { tenant: { windowId: 'daily:1', limitNano: 10_000n } },
  ...change,
});
const sight = (spentNano: bigint, openNano = 0n, limitNano = 10_000n) => ({ tenant: { limitNano, spentNano, openNano, needsSeed: false } });

function limiter(spentNano: bigint | undefined = 0n): FallbackLimiter {
  const made = new FallbackLimiter(OPTIONS);
  if (spentNano !== undefined) made.observe(request(), sight(spentNano));
  return made;
}

describe('admission while the shared store is away', () => {
  it('grants its share of each limit in any 60 s and tells when there is room again', () => {
    const local = limiter();
    const limits = { key: { ...WIDE, requestsPerMinute: 4 }, tenant: WIDE };
    expect(local.admit(request({ limits }), 900)).toMatchObject({ admitted: true, requests: { limit: 2, remaining: 1 } });
    expect(local.admit(request({ limits }), 30_000)).toMatchObject({ admitted: true });
    expect(local.admit(request({ limits }), 60_999)).toMatchObject({ admitted: false, reason: 'requests', scope: 'key', retryAfterMs: 1 });
    expect(local.admit(request({ limits }), 61_000)).toMatchObject({ admitted: true });
  });

  it('a refusal consumes nothing', () => {
    const local = limiter();
    const limits = { key: { ...WIDE, requestsPerMinute: 20 }, tenant: { ...WIDE, requestsPerMinute: 2 } };
    local.admit(request({ limits }), 0);
    expect(local.admit(request({ limits }), 0)).toMatchObject({ admitted: false, scope: 'tenant' });
    expect(local.admit(request({ limits: { ...limits, tenant: WIDE } }), 0)).toMatchObject({ admitted: true, requests: { limit: 10, remaining: 8 } });
  });

  it('never stops a customer with a small limit altogether', () => {
    expect(limiter().admit(request({ limits: { key: { requestsPerMinute: 1, tokensPerMinute: 1, parallelRequests: 1 }, tenant: WIDE } }), 0).admitted).toBe(
      true,
    );
  });

  it('counts running calls and gives them back at settlement and cancellation', () => {
    const local = limiter();
    const limits = { key: { ...WIDE, parallelRequests: 2 }, tenant: WIDE };
    const first = local.admit(request({ limits }), 0);
    expect(local.admit(request({ limits }), 0)).toMatchObject({ admitted: false, reason: 'parallel', retryAfterMs: 1_000 });
    if (first.admitted) local.settle(first.grant, 10, 1n, 100);
    const second = local.admit(request({ limits }), 200);
    if (second.admitted) local.cancel(second.grant, 300);
    expect(local.admit(request({ limits }), 400)).toMatchObject({ admitted: true, requests: { remaining: 500_000 - 2 } });
  });

  it('corrects the token window to the real count', () => {
    const local = limiter();
    const limits = { key: { ...WIDE, tokensPerMinute: 200 }, tenant: WIDE };
    const first = local.admit(request({ limits, estimatedTokens: 150 }), 0);
    expect(local.admit(request({ limits }), 0)).toMatchObject({ admitted: false, reason: 'tokens' });
    if (first.admitted) local.settle(first.grant, 30, 0n, 500);
    expect(local.admit(request({ limits, estimatedTokens: 0 }), 600)).toMatchObject({ admitted: true, tokens: { limit: 100, remaining: 70 } });
  });

  it('spends at most its allowance of the last seen remainder', () => {
    const local = limiter(8_000n);
    const first = local.admit(request({ holdNano: 150n }), 0);
    expect(first).toMatchObject({ admitted: true, heldNano: 150n, budgets: { tenant: { spentNano: 8_000n, openNano: 150n } } });
    const second = local.admit(request({ holdNano: 150n }), 0);
    expect(second).toMatchObject({ admitted: true, heldNano: 50n });
    expect(local.admit(request(), 0)).toMatchObject({ admitted: false, reason: 'budget_unknown', scope: 'tenant' });
    if (first.admitted) local.settle(first.grant, 1, 20n, 0);
    expect(local.admit(request({ holdNano: 1_000n }), 0)).toMatchObject({ admitted: true, heldNano: 130n });
  });

  it('never spends more than the maximum, however much remained', () => {
    expect(new FallbackLimiter(OPTIONS).admit(request(), 0)).toMatchObject({ admitted: false });
    const local = new FallbackLimiter(OPTIONS);
    local.observe(request(), sight(0n, 0n, 1_000_000n));
    expect(local.admit(request({ holdNano: 50_000n }), 0)).toMatchObject({ heldNano: 1_000n });
  });

  it('a budget that was seen used up is a budget refusal; one never seen in this window is unknown', () => {
    expect(limiter(10_000n).admit(request(), 0)).toMatchObject({ admitted: false, reason: 'budget' });
    expect(limiter().admit(request({ budgets: { tenant: { windowId: 'daily:2', limitNano: 10_000n } } }), 0)).toMatchObject({ reason: 'budget_unknown' });
  });

  it('the key budget counts beside the tenant budget', () => {
    const local = limiter();
    const budgets = { tenant: { windowId: 'daily:1', limitNano: 10_000n }, key: { windowId: 'daily:1', limitNano: 500n } };
    local.observe(request({ budgets }), { ...sight(0n), key: { limitNano: 500n, spentNano: 0n, openNano: 0n, needsSeed: false } });
    expect(local.admit(request({ budgets, holdNano: 1_000n }), 0)).toMatchObject({ heldNano: 50n });
    expect(local.admit(request({ budgets }), 0)).toMatchObject({ admitted: false, scope: 'key', reason: 'budget_unknown' });
  });

  it('keeps a bounded number of scopes, the most recently used ones', () => {
    const local = new FallbackLimiter({ ...OPTIONS, scopesMax: 3 });
    for (let i = 0; i < 10; i++) {
      local.observe(request({ tenantId: `t${i}` }), sight(0n));
      local.observe(request({ tenantId: 't0' }), sight(0n));
    }
    expect(local.admit(request({ tenantId: 't0', keyId: 'a' }), 0).admitted).toBe(true);
    expect(local.admit(request({ tenantId: 't3', keyId: 'b' }), 0).admitted).toBe(false);
  });
});
