import { z } from 'zod';
import { decimalNumber, formatShape, pageShape, pagingShape, text, timeSchema, uuidSchema, wholeNumber } from './common.js';

/** Reports. Money in answers is derived from nano-USD; `unpriced_requests` counts requests whose cost is unknown. */

export const PERIOD_DAYS_MAX = 366;
export const RANGE_DAYS_MAX = 180;
export const COMPARE_ENTITIES_MAX = 10;

/** `period` is rolling; `start` and `end` win over it. */
export const rangeShape = {
  period: z
    .string()
    .regex(/^\d{1,4}[dh]$/, 'must be <n>d or <n>h')
    .optional(),
  start: timeSchema.optional(),
  end: timeSchema.optional(),
  timezone: z.string().max(64).optional(),
};
export type RangeQuery = { period?: string | undefined; start?: string | undefined; end?: string | undefined; timezone?: string | undefined };

const idList = <T extends z.ZodType<string, string>>(item: T) =>
  z
    .string()
    .max(4096)
    .transform((value) => [
      ...new Set(
        value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      ),
    ])
    .pipe(z.array(item).max(COMPARE_ENTITIES_MAX))
    .default([]);

const modelAlias = z.string().trim().min(1).max(128);

export const totalsShape = {
  requests: z.int(),
  tokens: z.int(),
  cost_cents: z.int(),
  cost_usd: z.number(),
  cost_usd_micros: z.int(),
  unpriced_requests: z.int(),
};
export const totalsSchema = z.object(totalsShape);
export type Totals = z.output<typeof totalsSchema>;
export const pointSchema = z.object({ date: timeSchema, ...totalsShape });
export type Point = z.output<typeof pointSchema>;
const windowShape = { period: z.string(), start: timeSchema, end: timeSchema, timezone: z.string() };

export const usageSummaryQuerySchema = z.object({ ...rangeShape, ...formatShape, tenant_id: uuidSchema.optional() });
export const usageSummarySchema = z.object({
  ...windowShape,
  tenant_id: uuidSchema.optional(),
  total_requests: z.int(),
  total_tokens: z.int(),
  total_cost_cents: z.int(),
  total_cost_usd: z.number(),
  total_cost_usd_micros: z.int(),
  total_unpriced_requests: z.int(),
  points: z.array(pointSchema),
});

export const BREAKDOWN_GROUPS = ['tenant', 'model', 'user', 'api_key'] as const;
export type BreakdownGroup = (typeof BREAKDOWN_GROUPS)[number];
export const usageBreakdownQuerySchema = z.object({
  ...rangeShape,
  ...formatShape,
  group: z.enum(BREAKDOWN_GROUPS).default('tenant'),
  limit: wholeNumber(1, 50).default(5),
  entity_id: text(128).optional(),
  tenant_id: uuidSchema.optional(),
});
export const usageBreakdownSchema = z.object({
  group: z.enum(BREAKDOWN_GROUPS),
  ...windowShape,
  items: z.array(z.object({ id: z.string(), label: z.string(), ...totalsShape })),
  series: z.object({ id: z.string(), label: z.string(), points: z.array(pointSchema), timezone: z.string() }).nullable(),
});

export const usageCompareQuerySchema = z.object({
  ...rangeShape,
  ...formatShape,
  tenant_ids: idList(uuidSchema),
  model_aliases: idList(modelAlias),
  user_ids: idList(uuidSchema),
});
export const anomalySchema = z.object({
  kind: z.string(),
  id: z.string(),
  label: z.string(),
  date: timeSchema,
  metric: z.enum(['cost', 'requests', 'tokens']),
  value: z.number(),
  expected: z.number(),
  score: z.number(),
  direction: z.enum(['spike', 'drop']),
});
export type Anomaly = z.output<typeof anomalySchema>;
export const usageCompareSchema = z.object({
  ...windowShape,
  series: z.array(
    z.object({
      kind: z.enum(['tenant', 'model', 'user']),
      id: z.string(),
      label: z.string(),
      tenant_id: uuidSchema.optional(),
      tenant_status: z.string().optional(),
      tenant_kind: z.string().optional(),
      user_id: uuidSchema.optional(),
      user_email: z.string().optional(),
      user_name: z.string().optional(),
      provider: z.string().optional(),
      totals: totalsSchema,
      points: z.array(pointSchema),
      active_start: timeSchema.optional(),
      active_end: timeSchema.optional(),
      anomalies: z.array(anomalySchema),
    }),
  ),
});

/** Which parts a day names: those that cost most in the whole range come first. The CSV has all of them. */
const partsPaging = pagingShape(50);
/** What the day has besides the parts that it names. */
const others = z.object(totalsShape);

export const tenantDailyQuerySchema = z.object({ ...rangeShape, ...formatShape, ...partsPaging, tenant_id: uuidSchema });
const tenantTotals = z.object({ tenant_id: uuidSchema, tenant_name: z.string(), ...totalsShape });
export const tenantDailySchema = z.object({
  tenant_id: uuidSchema,
  ...windowShape,
  days: z.array(
    z.object({
      date: timeSchema,
      ...totalsShape,
      keys: z.array(z.object({ api_key_id: uuidSchema, api_key_name: z.string(), api_key_prefix: z.string(), ...totalsShape })),
      others,
    }),
  ),
  ...pageShape,
});
export const userDailyQuerySchema = z.object({ ...rangeShape, ...formatShape, ...partsPaging, user_id: uuidSchema });
export const userDailySchema = z.object({
  user_id: uuidSchema,
  ...windowShape,
  days: z.array(z.object({ date: timeSchema, ...totalsShape, tenants: z.array(tenantTotals), others })),
  ...pageShape,
});
export const modelDailyQuerySchema = z.object({ ...rangeShape, ...formatShape, ...partsPaging, model_alias: modelAlias });
export const modelDailySchema = z.object({
  model_alias: z.string(),
  ...windowShape,
  days: z.array(z.object({ date: timeSchema, ...totalsShape, tenants: z.array(tenantTotals), others })),
  ...pageShape,
});

export const keyReportQuerySchema = z.object({ ...rangeShape, ...formatShape, ...pagingShape(50), tenant_id: uuidSchema.optional() });
export const keyReportSchema = z.object({
  ...windowShape,
  items: z.array(
    z.object({
      api_key_id: uuidSchema,
      name: z.string(),
      prefix: z.string(),
      tenant_id: uuidSchema,
      tenant_name: z.string(),
      revoked: z.boolean(),
      last_used_at: timeSchema.optional(),
      ...totalsShape,
      budget_usd: z.number().optional(),
      budget_used_usd: z.number(),
    }),
  ),
  ...pageShape,
});
export const keyUsageQuerySchema = z.object({ ...rangeShape, ...formatShape });
export const keyUsageSchema = z.object({ api_key_id: uuidSchema, ...windowShape, totals: totalsSchema, series: z.array(pointSchema) });

export const spendHistoryQuerySchema = z.object({
  ...formatShape,
  tenant_id: uuidSchema.optional(),
  api_key_id: uuidSchema.optional(),
  windows: wholeNumber(1, 36).default(12),
});
const spendWindow = z.object({
  start: timeSchema,
  end: timeSchema,
  limit_usd: z.number().nullable(),
  spent_usd: z.number(),
  cost_cents: z.int(),
  requests: z.int(),
  tokens: z.int(),
  warning: z.boolean(),
  exceeded: z.boolean(),
  current: z.boolean(),
});
export const spendHistorySchema = z.object({
  tenant_id: uuidSchema.optional(),
  api_key_id: uuidSchema.optional(),
  refresh_schedule: z.string(),
  timezone: z.string(),
  windows: z.array(spendWindow),
});

export const anomaliesQuerySchema = z.object({
  ...rangeShape,
  ...formatShape,
  group: z.enum(BREAKDOWN_GROUPS).default('tenant'),
  metric: z.enum(['cost', 'requests', 'tokens']).default('cost'),
  sensitivity: decimalNumber(1, 100).default(3),
  limit: wholeNumber(1, 200).default(50),
});
export const anomaliesSchema = z.object({
  group: z.enum(BREAKDOWN_GROUPS),
  metric: z.string(),
  sensitivity: z.number(),
  ...windowShape,
  anomalies: z.array(anomalySchema),
});

export const alertHistoryQuerySchema = z.object({
  ...formatShape,
  ...pagingShape(50),
  tenant_id: uuidSchema.optional(),
  level: z.enum(['warning', 'exceeded']).optional(),
  success: z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .optional(),
  start: timeSchema.optional(),
  end: timeSchema.optional(),
});
export const alertHistorySchema = z.object({
  alerts: z.array(
    z.object({
      id: uuidSchema,
      tenant_id: uuidSchema,
      tenant_name: z.string(),
      level: z.string(),
      channels: z.object({ emails: z.array(z.string()), webhooks: z.array(z.string()) }),
      payload: z.record(z.string(), z.unknown()),
      success: z.boolean().nullable(),
      error: z.string().nullable(),
      created_at: timeSchema,
    }),
  ),
  timezone: z.string(),
  ...pageShape,
});

export const requestLogQuerySchema = z.object({
  ...rangeShape,
  ...formatShape,
  limit: wholeNumber(1, 200).default(50),
  /** `next_cursor` of the page before. */
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,128}$/)
    .optional(),
  tenant_id: uuidSchema.optional(),
  api_key_id: uuidSchema.optional(),
  model_alias: modelAlias.optional(),
  provider: text(64).optional(),
  operation: text(16).optional(),
  error_code: text(64).optional(),
  status: wholeNumber(100, 599).optional(),
  status_class: z.enum(['2xx', '4xx', '5xx']).optional(),
  request_id: z.string().min(1).max(128).optional(),
  latency_min_ms: wholeNumber(0, 86_400_000).optional(),
});
export const requestLogSchema = z.object({
  ...windowShape,
  requests: z.array(
    z.object({
      id: uuidSchema,
      request_id: z.string(),
      created_at: timeSchema,
      tenant_id: uuidSchema,
      api_key_id: uuidSchema,
      operation: z.string(),
      model_alias: z.string(),
      provider: z.string(),
      route_id: z.string().nullable(),
      stream: z.boolean(),
      status: z.int(),
      error_code: z.string().nullable(),
      latency_ms: z.int(),
      ttft_ms: z.int().nullable(),
      attempts: z.array(z.record(z.string(), z.unknown())),
      input_tokens: z.int(),
      output_tokens: z.int(),
      cost_usd: z.number().nullable(),
      cost_usd_micros: z.int().nullable(),
      idempotency_key: z.string().nullable(),
    }),
  ),
  limit: z.int(),
  next_cursor: z.string().nullable(),
});
