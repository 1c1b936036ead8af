import { entitlementOf } from '../entitlement.js';
import type { RequestContext } from '../context.js';

/**
 * Budget headers go on every authenticated answer. Requests that were never admitted read them here; when the store is
 * away the answer goes out without them rather than not at all.
 */
export async function readBudgets(ctx: RequestContext): Promise<void> {
  const { services, caller } = ctx;
  const defaults = services.snapshot.defaults;
  if (!caller || !defaults || ctx.admission) return;
  const entitlement = entitlementOf(caller, defaults, services.windows, services.clock.nowMs());
  try {
    const budgets = await services.admission.readBudgets(caller.tenant.doc.id, caller.key.doc.id, entitlement.budgets);
    ctx.entitlement = entitlement;
    ctx.admission = { budgets };
  } catch {
    // The limiter's own health is reported by its metrics and by readiness.
  }
}
