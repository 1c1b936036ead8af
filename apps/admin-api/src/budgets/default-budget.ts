import { SETTING_KEYS, budgetSettingSchema, type BudgetSetting } from '@omg/contracts';
import { nanoUsdFromUsd, parseBudgetSchedule, type BudgetSchedule } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';

export interface DefaultBudget extends Omit<BudgetSetting, 'schedule' | 'enforcement'> {
  schedule: BudgetSchedule;
  enforcement: 'estimate' | 'strict';
  /** 0: never changed in `/admin`. */
  version: number;
  changes?: { createdAt: Date; updatedAt: Date; createdBy: string | null; updatedBy: string | null };
}

/** The persisted default, else the configuration file's. */
export async function defaultBudget(tx: PrismaTx, { budgets }: ConfigOf<'budgets'>): Promise<DefaultBudget> {
  const row = await tx.setting.findUnique({ where: { key: SETTING_KEYS.budget } });
  if (row) {
    const value = budgetSettingSchema.parse(row.value);
    const { createdAt, updatedAt, createdBy, updatedBy } = row;
    return {
      ...value,
      schedule: parseBudgetSchedule(value.schedule) ?? 'calendar_month',
      enforcement: value.enforcement ?? budgets.enforcement,
      version: row.version,
      changes: { createdAt, updatedAt, createdBy, updatedBy },
    };
  }
  const { alert } = budgets;
  return {
    limitNano: nanoUsdFromUsd(budgets.defaultUsd).toString(),
    warningThreshold: budgets.warningThresholdPerc,
    schedule: parseBudgetSchedule(budgets.refreshSchedule) ?? 'calendar_month',
    enforcement: budgets.enforcement,
    alert: { enabled: alert.enabled, emails: alert.emails, webhooks: alert.webhooks, cooldownSeconds: Math.max(1, Math.round(alert.cooldownMs / 1000)) },
    version: 0,
  };
}
