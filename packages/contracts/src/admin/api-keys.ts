import { z } from 'zod';
import { text, timeSchema, uuidSchema } from './common.js';
import { rateLimitsSchema } from './tenants.js';

/** Virtual keys. Secret and token are shown once, at creation and at rotation. */

/** What a key may be used for; an empty list means everything. */
export const API_KEY_SCOPES = ['chat', 'embeddings', 'images', 'models'] as const;

const scopes = z
  .array(z.enum(API_KEY_SCOPES))
  .max(API_KEY_SCOPES.length)
  .transform((list) => [...new Set(list)]);

/** Quotas are held by the tenant's budget; `budget_cents` is read when `budget_usd` is absent. 0 as threshold inherits. */
const quota = z.object({
  budget_usd: z.number().min(0).max(9_000_000).nullish(),
  budget_cents: z.int().min(0).max(900_000_000).nullish(),
  warning_threshold: z.number().min(0).max(1).nullish(),
});

const limit = z.int().min(0).max(1_000_000_000).default(0);
/** 0 inherits. */
const limits = z.object({ requests_per_minute: limit, tokens_per_minute: limit, parallel_requests: limit });

export const createApiKeySchema = z.object({
  name: text(128),
  scopes: scopes.default([]),
  quota: quota.nullish(),
  rate_limits: limits.nullish(),
  expires_at: timeSchema.nullish(),
});

/** Absent fields stay; null takes a quota, limits or the expiry away. */
export const updateApiKeySchema = z.object({
  name: text(128).optional(),
  scopes: scopes.optional(),
  quota: quota.nullish(),
  rate_limits: limits.nullish(),
  expires_at: timeSchema.nullish(),
});

/** How long the old secret still works. At most seven days. */
export const GRACE_SECONDS_MAX = 604_800;
export const rotateApiKeySchema = z.object({ grace_seconds: z.int().min(0).max(GRACE_SECONDS_MAX).default(0) }).prefault({});

export const apiKeySchema = z.object({
  id: uuidSchema,
  tenant_id: uuidSchema,
  tenant_name: z.string(),
  issuer: z.object({ type: z.enum(['tenant', 'personal']), label: z.string() }),
  prefix: z.string(),
  last_four: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  quota: z.object({ budget_usd: z.number().optional(), warning_threshold: z.number().optional() }).optional(),
  budget_refresh_schedule: z.string(),
  /** Values in force, inherited ones included. */
  rate_limits: z.object({ key: rateLimitsSchema, tenant: rateLimitsSchema }),
  created_at: timeSchema,
  expires_at: timeSchema.nullable(),
  revoked_at: timeSchema.optional(),
  last_used_at: timeSchema.optional(),
  /** Until when the secret before the last rotation works. */
  previous_secret_valid_until: timeSchema.optional(),
  revoked: z.boolean(),
  expired: z.boolean(),
  version: z.int(),
});

export const apiKeyListSchema = z.object({ api_keys: z.array(apiKeySchema), timezone: z.string() });
export const issuedApiKeySchema = z.object({ api_key: apiKeySchema, secret: z.string(), token: z.string() });
