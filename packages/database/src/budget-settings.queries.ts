import { SETTING_KEYS, alertTransportSettingSchema, budgetSettingSchema, type AlertTransportSetting, type BudgetSetting } from '@omg/contracts';
import { parseBudgetSchedule, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import { z } from 'zod';
import type { Transaction } from './transactions.js';

/** What the recorder needs to know of budgets and alerts: the persisted settings and the tenants' overrides. */

/** Milliseconds since the epoch by Postgres's clock, at the start of the transaction. */
export async function databaseNowMs(tx: Transaction): Promise<number> {
  const { rows } = await tx.query<{ now: Date }>({ name: 'now', text: 'SELECT now()' });
  return rows[0]!.now.getTime();
}

/** Schedules of the tenants that have one of their own. */
export async function tenantSchedules(tx: Transaction, tenantIds: readonly string[]): Promise<Map<string, BudgetSchedule>> {
  const schedules = new Map<string, BudgetSchedule>();
  if (tenantIds.length === 0) return schedules;
  const { rows } = await tx.query<{ tenant_id: string; refresh_schedule: string }>({
    name: 'tenant-schedules',
    text: 'SELECT tenant_id, refresh_schedule FROM tenant_budget_overrides WHERE tenant_id = ANY($1::uuid[]) AND refresh_schedule IS NOT NULL',
    values: [tenantIds],
  });
  for (const row of rows) {
    const schedule = parseBudgetSchedule(row.refresh_schedule);
    if (schedule) schedules.set(row.tenant_id, schedule);
  }
  return schedules;
}

export interface PersistedSettings {
  budget: BudgetSetting | undefined;
  alerts: AlertTransportSetting | undefined;
}

/** Settings changed in the admin API; undefined where the configuration file counts. Throws when a row cannot be read. */
export async function readSettings(tx: Transaction): Promise<PersistedSettings> {
  const { rows } = await tx.query<{ key: string; value: unknown }>({
    name: 'settings',
    text: 'SELECT key, value FROM settings WHERE key = ANY($1)',
    values: [[SETTING_KEYS.budget, SETTING_KEYS.alerts]],
  });
  const value = (key: string): unknown => rows.find((row) => row.key === key)?.value;
  return {
    budget: budgetSettingSchema.optional().parse(value(SETTING_KEYS.budget)),
    alerts: alertTransportSettingSchema.optional().parse(value(SETTING_KEYS.alerts)),
  };
}

const channelList = z.array(z.string()).nullable();

/** A tenant's override; null fields inherit. */
export interface TenantBudgetOverride {
  tenantName: string;
  limitNano: NanoUsd | null;
  warningThreshold: number | null;
  schedule: BudgetSchedule | null;
  emails: string[] | null;
  webhooks: string[] | null;
  cooldownSeconds: number | null;
}

/** Undefined: no such tenant. */
export async function readTenantBudget(tx: Transaction, tenantId: string): Promise<TenantBudgetOverride | undefined> {
  const { rows } = await tx.query<{
    name: string;
    budget_nano: bigint | null;
    warning_threshold: string | null;
    refresh_schedule: string | null;
    alert_emails: unknown;
    alert_webhooks: unknown;
    alert_cooldown_seconds: number | null;
  }>({
    name: 'tenant-budget',
    text: `SELECT t.name, o.budget_nano, o.warning_threshold, o.refresh_schedule, o.alert_emails, o.alert_webhooks, o.alert_cooldown_seconds
FROM tenants t LEFT JOIN tenant_budget_overrides o ON o.tenant_id = t.id WHERE t.id = $1`,
    values: [tenantId],
  });
  const row = rows[0];
  if (!row) return undefined;
  return {
    tenantName: row.name,
    limitNano: row.budget_nano,
    warningThreshold: row.warning_threshold === null ? null : Number(row.warning_threshold),
    schedule: row.refresh_schedule === null ? null : (parseBudgetSchedule(row.refresh_schedule) ?? null),
    emails: channelList.parse(row.alert_emails),
    webhooks: channelList.parse(row.alert_webhooks),
    cooldownSeconds: row.alert_cooldown_seconds,
  };
}
