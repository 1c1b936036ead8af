import { entitlementOf } from '../entitlement.js';
import type { RequestContext } from '../context.js';

/**
 * What is left of limits and budgets stands on every authenticated answer. Requests that were never admitted read it here;
 * when the store is away the answer goes out without it rather than not at all.
 */
export async function readState(ctx: RequestContext): Promise<void> {
  const { services, caller } = ctx;
  const defaults = services.snapshot.defaults;
  if (!caller || !defaults || ctx.admission) return;
  const entitlement = entitlementOf(caller, defaults, services.windows, services.clock.nowMs());
  const { limits, budgets } = entitlement;
  try {
    ctx.admission = await services.admission.readState({ tenantId: caller.tenant.doc.id, keyId: caller.key.doc.id, limits, budgets });
    ctx.entitlement = entitlement;
  } catch {
    // The limiter's own health is reported by its metrics and by readiness.
  }
}
