import { parseBudgetSchedule, type BudgetSchedule } from '@omg/domain';
import { z } from 'zod';
import { emailSchema, text, timeSchema, uuidSchema } from './common.js';

/** Budget defaults and the tenants' overrides. Amounts are USD; thresholds are fractions, whatever their names say. */

const amount = z.number().gt(0).max(9_000_000);
const threshold = z.number().gt(0).max(1);
const COOLDOWN_DEFAULT = 3600;

export const scheduleSchema = text(32).transform((value, context): BudgetSchedule => {
  const schedule = parseBudgetSchedule(value);
  if (!schedule) context.addIssue({ code: 'custom', message: 'must be calendar_month, weekly, daily or rolling_<N>d with N from 1 to 366' });
  return schedule ?? z.NEVER;
});

export const webhookSchema = text(2048).refine((value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url !== undefined && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === '';
}, 'must be an https URL without credentials');

const emails = z
  .array(emailSchema)
  .max(100)
  .transform((list) => [...new Set(list)]);
const webhooks = z
  .array(webhookSchema)
  .max(100)
  .transform((list) => [...new Set(list)]);
const cooldown = z
  .int()
  .max(31_536_000)
  .transform((seconds) => (seconds <= 0 ? COOLDOWN_DEFAULT : seconds));
const enforcement = z.enum(['estimate', 'strict']);

/** Absent fields keep their value. */
export const budgetDefaultsInputSchema = z.object({
  default_usd: amount,
  warning_threshold: threshold,
  refresh_schedule: scheduleSchema,
  enforcement: enforcement.optional(),
  alert_enabled: z.boolean().optional(),
  alert_emails: emails.optional(),
  alert_webhooks: webhooks.optional(),
  alert_cooldown_seconds: cooldown.optional(),
});

const person = z.object({ id: uuidSchema, name: z.string(), email: z.string() });

export const budgetDefaultsSchema = z.object({
  default_usd: z.number(),
  warning_threshold_perc: z.number(),
  refresh_schedule: z.string(),
  enforcement,
  alert: z.object({ enabled: z.boolean(), emails: z.array(z.string()), webhooks: z.array(z.string()), cooldown_seconds: z.int() }),
  /** Absent: the configuration file's values, never changed here. */
  metadata: z
    .object({ created_at: timeSchema.optional(), updated_at: timeSchema.optional(), created_by: person.optional(), updated_by: person.optional() })
    .optional(),
  timezone: z.string(),
  version: z.int(),
});

/** The whole override: what is null, or absent where it may be, inherits the default, live; an empty channel list means none. */
export const budgetOverrideInputSchema = z
  .object({
    /** Never left out by accident: an override that only changes the rest says null. */
    budget_usd: amount.nullable(),
    warning_threshold: threshold.nullish(),
    refresh_schedule: scheduleSchema.nullish(),
    enforcement: enforcement.nullish(),
    alert_emails: emails.nullish(),
    alert_webhooks: webhooks.nullish(),
    alert_cooldown_seconds: cooldown.nullish(),
  })
  .refine((input) => Object.values(input).some((value) => value !== undefined && value !== null), 'must set at least one field');

/** Values in force; `inherited` names the fields that follow the default. */
export const budgetOverrideSchema = z.object({
  tenant_id: uuidSchema,
  budget_usd: z.number(),
  warning_threshold: z.number(),
  refresh_schedule: z.string(),
  enforcement,
  alert_emails: z.array(z.string()),
  alert_webhooks: z.array(z.string()),
  alert_cooldown_seconds: z.int(),
  inherited: z.array(z.string()),
  last_alert_at: timeSchema.nullable(),
  last_alert_level: z.string().nullable(),
  created_at: timeSchema,
  updated_at: timeSchema,
  version: z.int(),
});
export const budgetOverrideListQuerySchema = z.object({ tenant_id: uuidSchema.optional() });
export const budgetOverrideListSchema = z.object({ overrides: z.array(budgetOverrideSchema), timezone: z.string() });
