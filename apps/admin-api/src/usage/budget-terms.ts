import { budgetSettingSchema, SETTING_KEYS } from '@omg/contracts';
import { nanoUsdFromUsd, parseBudgetSchedule, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';

/** What a tenant's budget is now: its override over the persisted default over the configuration file. */
export interface BudgetTerms {
  limitNano: NanoUsd;
  /** Fraction. */
  warningThreshold: number;
  schedule: BudgetSchedule;
}

export async function defaultTerms(tx: PrismaTx, config: ConfigOf<'budgets'>): Promise<BudgetTerms> {
  const setting = await tx.setting.findUnique({ where: { key: SETTING_KEYS.budget } });
  const stored = setting ? budgetSettingSchema.parse(setting.value) : undefined;
  if (stored)
    return {
      limitNano: BigInt(stored.limitNano),
      warningThreshold: stored.warningThreshold,
      schedule: parseBudgetSchedule(stored.schedule) ?? 'calendar_month',
    };
  const { budgets } = config;
  return {
    limitNano: nanoUsdFromUsd(budgets.defaultUsd),
    warningThreshold: budgets.warningThresholdPerc,
    schedule: parseBudgetSchedule(budgets.refreshSchedule) ?? 'calendar_month',
  };
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
