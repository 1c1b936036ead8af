import { RedisUnavailableError } from '@omg/storage';
import type { RequestContext } from '../context.js';
import { unseededAllowance } from '../entitlement.js';
import { outputTokensForHold } from '../hold.js';

/**
 * Whether what is held pays for one more attempt. Failed attempts cost nothing, mostly; where one was billed, its cost is taken
 * from the hold, and the next attempt may be made only once as much is held again: all attempts of a call together stay within
 * what was held for it. What a budget does not pay for is not tried, and the call ends with its provider's error.
 */
export async function extendHold(ctx: RequestContext): Promise<boolean> {
  const grant = ctx.grant!;
  const { wanted } = grant;
  const billedNano = ctx.attempts.reduce((sum, { billed }) => sum + (billed?.consumption.cost.totalNano ?? 0n), 0n);
  const leftNano = grant.heldNano - billedNano;
  if (billedNano === 0n || leftNano >= wanted.nano) return true;
  // The limits that stand in while Redis is away have given what they have.
  if (!grant.inRedis) return false;
  const { admission, config } = ctx.services;
  try {
    const moreNano = await admission.extendHold({
      attemptId: grant.attemptId,
      tenantId: ctx.caller!.tenant.doc.id,
      keyId: ctx.caller!.key.doc.id,
      moreNano: wanted.nano - leftNano,
      moreMinNano: wanted.minNano - leftNano,
      budgets: grant.budgets,
      unseededAllowanceNano: unseededAllowance(config, ctx.entitlement!),
    });
    if (moreNano === undefined) return false;
    grant.heldNano += moreNano;
    if (grant.outputTokensCap !== undefined) {
      grant.outputTokensCap = outputTokensForHold(ctx.model!, ctx.endpoint.operation, ctx.parsed!, leftNano + moreNano, wanted.outputTokens);
    }
    return true;
  } catch (error) {
    if (error instanceof RedisUnavailableError) return false;
    throw error;
  }
}
