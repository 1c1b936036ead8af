import { z } from 'zod';
import { nanoText } from '../events/usage-event.js';

/**
 * Values of the `settings` table that more than one service reads. The admin API writes them, they win over the
 * configuration file, and whoever reads them falls back to that file when the row is missing.
 */

export const SETTING_KEYS = { budget: 'budget', rateLimits: 'rate_limits', alerts: 'alerts' } as const;

/** Row `budget`: what a tenant without an override gets. */
export const budgetSettingSchema = z.object({
  limitNano: nanoText,
  /** Fraction, 0 < x <= 1. */
  warningThreshold: z.number().positive().max(1),
  schedule: z.string(),
  enforcement: z.enum(['estimate', 'strict']).optional(),
  alert: z.object({
    enabled: z.boolean(),
    emails: z.array(z.string()).max(100),
    webhooks: z.array(z.string()).max(100),
    cooldownSeconds: z.int().positive(),
  }),
});
export type BudgetSetting = z.infer<typeof budgetSettingSchema>;

/** Row `rate_limits`: what keys and tenants without own limits get. */
export const rateLimitsSettingSchema = z.object({
  requestsPerMinute: z.int().positive(),
  tokensPerMinute: z.int().positive(),
  parallelRequestsKey: z.int().positive(),
  parallelRequestsTenant: z.int().positive(),
});
export type RateLimitsSetting = z.infer<typeof rateLimitsSettingSchema>;

/** Row `alerts`: how alerts travel. The password is sealed (`sealedContext.smtpPassword`); an empty one means no authentication. */
export const alertTransportSettingSchema = z.object({
  smtp: z.object({
    host: z.string(),
    port: z.int().positive().max(65_535),
    username: z.string(),
    sealedPassword: z.string(),
    from: z.string(),
    useTls: z.boolean(),
    skipTlsVerify: z.boolean(),
    /** Also bounds the whole delivery. */
    connectTimeoutSeconds: z.number().nonnegative(),
  }),
  webhook: z.object({ timeoutSeconds: z.number().nonnegative(), maxRetries: z.int().nonnegative() }),
});
export type AlertTransportSetting = z.infer<typeof alertTransportSettingSchema>;
