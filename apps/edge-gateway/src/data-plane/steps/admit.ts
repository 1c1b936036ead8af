import { GatewayError, type AttemptRecord } from '@omg/contracts';
import { uuidV7, type FallbackResult } from '@omg/domain';
import { RedisUnavailableError, type AdmitRequest, type AdmitResult } from '@omg/storage';
import type { Grant, RequestContext } from '../context.js';
import { entitlementOf, unseededAllowance, type Entitlement } from '../entitlement.js';
import { estimateHold, outputTokensForHold, type HoldEstimate } from '../hold.js';

/**
 * One Redis call decides everything: requests and tokens per minute, parallel calls, and the budget hold, for the key and
 * its tenant at once. A refusal consumes nothing. While Redis is away, small per-process limits stand in.
 */
export async function admit(ctx: RequestContext): Promise<void> {
  const { services } = ctx;
  const defaults = services.snapshot.defaults;
  if (!defaults) throw new GatewayError('configuration_unavailable', { retryAfterMs: 1000 });
  if (!services.usage.accepting) throw new GatewayError('metering_unavailable', { retryAfterMs: 5000 });
  const nowMs = services.clock.nowMs();
  const entitlement = entitlementOf(ctx.caller!, defaults, services.windows, nowMs);
  ctx.entitlement = entitlement;
  const estimate = estimateHold(ctx.model!, ctx.endpoint.operation, ctx.parsed!, {
    strict: entitlement.strict,
    outputTokensDefault: services.config.holdOutputTokensDefault,
  });
  const request = admitRequest(ctx, entitlement, estimate, nowMs);
  const { result, inRedis } = await decide(ctx, request, entitlement);
  ctx.admission = result;
  if (!result.admitted) throw refusal(result);
  ctx.grant = grantOf(ctx, request, entitlement, result, inRedis, nowMs);
}

type Decision = AdmitResult | FallbackResult;

function admitRequest(ctx: RequestContext, entitlement: Entitlement, estimate: HoldEstimate, nowMs: number): AdmitRequest {
  const { services } = ctx;
  const { tenant, key } = ctx.caller!;
  const attemptId = uuidV7(nowMs, services.random(10));
  return {
    attemptId,
    tenantId: tenant.doc.id,
    keyId: key.doc.id,
    limits: entitlement.limits,
    estimatedTokens: estimate.tokens,
    holdNano: estimate.holdNano,
    holdMinNano: estimate.holdMinNano,
    budgets: entitlement.budgets,
    unseededAllowanceNano: unseededAllowance(services.config, entitlement),
    leaseMs: services.config.leaseMs,
    attempt: JSON.stringify({
      v: 1,
      requestId: ctx.requestId,
      operation: ctx.endpoint.operation,
      modelAlias: ctx.alias,
      stream: ctx.parsed!.stream,
      inputTokensEstimate: ctx.parsed!.inputTokensEstimate,
      estimatedTokens: estimate.tokens,
      priceVersionId: ctx.model!.routes[0]?.price?.id,
      provider: ctx.model!.routes[0]?.doc.provider,
      schedule: entitlement.window.schedule,
      windowId: entitlement.window.id,
      hasKeyBudget: entitlement.budgets.key !== undefined,
    } satisfies AttemptRecord),
  };
}

/**
 * A refused budget whose total Redis does not know yet is asked for once more after the recorder has put it there; a
 * total that never comes is a store that is away, not a budget that is used up.
 */
async function decide(ctx: RequestContext, request: AdmitRequest, entitlement: Entitlement): Promise<{ result: Decision; inRedis: boolean }> {
  const { services } = ctx;
  let result: AdmitResult;
  try {
    result = await services.admission.admit(request);
    const unseeded = result.budgets.tenant.needsSeed || (result.budgets.key?.needsSeed ?? false);
    if (unseeded) {
      const seeding = services.seeds.request(request, entitlement.window);
      if (!result.admitted && result.reason === 'budget') {
        if (!(await seeding)) throw new GatewayError('budget_store_unavailable', { retryAfterMs: 1000 });
        result = await services.admission.admit(request);
      }
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    if (!(error instanceof RedisUnavailableError))
      throw new GatewayError('limiter_unavailable', { retryAfterMs: 1000, cause: error, internal: 'admission failed' });
    const local = services.fallback.admit(request, services.clock.nowMs());
    // The admission may have been carried out although its answer never came, or may be later; it was not if it was never sent.
    if (!local.admitted && error.failure !== 'circuit_open')
      void services.admission.cancel(request.tenantId, request.keyId, request.attemptId).catch(() => undefined);
    return { result: local, inRedis: false };
  }
  services.fallback.observe(request, result.budgets);
  return { result, inRedis: true };
}

function refusal(result: Extract<Decision, { admitted: false }>): GatewayError {
  const whose = result.scope === 'key' ? 'this API key' : 'this tenant';
  const retryAfterMs = result.retryAfterMs;
  switch (result.reason) {
    case 'budget':
      return new GatewayError('budget_exceeded', { message: `The budget of ${whose} for this period is used up.` });
    case 'budget_unknown':
      return new GatewayError('budget_store_unavailable', { retryAfterMs: 1000 });
    case 'tokens':
      return new GatewayError('rate_limit_exceeded', { type: 'tokens', retryAfterMs, message: `Rate limit reached: tokens per minute of ${whose}.` });
    case 'parallel':
      return new GatewayError('rate_limit_exceeded', { retryAfterMs, message: `Rate limit reached: parallel requests of ${whose}.` });
    default:
      return new GatewayError('rate_limit_exceeded', { retryAfterMs, message: `Rate limit reached: requests per minute of ${whose}.` });
  }
}

function grantOf(
  ctx: RequestContext,
  request: AdmitRequest,
  entitlement: Entitlement,
  result: Extract<Decision, { admitted: true }>,
  inRedis: boolean,
  nowMs: number,
): Grant {
  const { heldNano } = result;
  const outputTokens = request.estimatedTokens - ctx.parsed!.inputTokensEstimate;
  const capped = entitlement.strict && ctx.endpoint.operation === 'chat' && request.holdNano > 0n;
  return {
    attemptId: request.attemptId,
    admittedAtMs: nowMs,
    schedule: entitlement.window.schedule,
    window: entitlement.window,
    budgets: entitlement.budgets,
    limits: entitlement.limits,
    wanted: { nano: request.holdNano, minNano: request.holdMinNano > 1n ? request.holdMinNano : 1n, outputTokens },
    heldNano,
    local: 'grant' in result ? result.grant : undefined,
    inRedis,
    outputTokensCap: capped ? outputTokensForHold(ctx.model!, ctx.endpoint.operation, ctx.parsed!, heldNano, outputTokens) : undefined,
  };
}
