import { parseBudgetSchedule, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';
import { defaultBudget } from '../budgets/default-budget.js';

/** What a tenant's budget is now: its override over the persisted default over the configuration file. */
export interface BudgetTerms {
  limitNano: NanoUsd;
  /** Fraction. */
  warningThreshold: number;
  schedule: BudgetSchedule;
}

export async function defaultTerms(tx: PrismaTx, config: ConfigOf<'budgets'>): Promise<BudgetTerms> {
  const { limitNano, warningThreshold, schedule } = await defaultBudget(tx, config);
  return { limitNano: BigInt(limitNano), warningThreshold, schedule };
}

/** The terms of each of these tenants. */
export async function termsOf(tx: PrismaTx, config: ConfigOf<'budgets'>, tenantIds: readonly string[]): Promise<Map<string, BudgetTerms>> {
  const base = await defaultTerms(tx, config);
  const overrides = await tx.tenantBudgetOverride.findMany({ where: { tenantId: { in: [...tenantIds] } } });
  const terms = new Map<string, BudgetTerms>(tenantIds.map((id) => [id, base]));
  for (const row of overrides) {
    terms.set(row.tenantId, {
      limitNano: row.budgetNano ?? base.limitNano,
      warningThreshold: row.warningThreshold === null ? base.warningThreshold : Number(row.warningThreshold),
      schedule: (row.refreshSchedule === null ? undefined : parseBudgetSchedule(row.refreshSchedule)) ?? base.schedule,
    });
  }
  return terms;
}
