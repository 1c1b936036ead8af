import { z } from 'zod';
import { pageShape, pagingShape, text, timeSchema, uuidSchema } from './common.js';

/** Tenants, their limits and their model lists. `version` goes back in `If-Match` for a change that must not overwrite another one. */

const status = z.enum(['active', 'suspended']);

export const tenantNameSchema = text(128).refine((name) => !name.toLowerCase().startsWith('personal:'), 'names of personal tenants cannot be given');

export const tenantSchema = z.object({
  id: uuidSchema,
  name: z.string(),
  status,
  created_at: timeSchema,
  /** Limit and spend of the budget window that is running now. */
  budget_limit_usd: z.number(),
  budget_used_usd: z.number(),
  warning_threshold: z.number().optional(),
  timezone: z.string(),
  version: z.int(),
});

export const tenantListQuerySchema = z.object({ ...pagingShape(50), status: status.optional(), q: text(128).optional() });
export const tenantListSchema = z.object({ tenants: z.array(tenantSchema), timezone: z.string(), ...pageShape });
export const createTenantSchema = z.object({ name: tenantNameSchema, status: status.default('active') });
export const renameTenantSchema = z.object({ name: tenantNameSchema });
export const tenantStatusSchema = z.object({ status });

export const personalTenantListSchema = z.object({
  personal_tenants: z.array(
    z.object({
      tenant_id: uuidSchema,
      user_id: uuidSchema,
      user_email: z.string(),
      user_name: z.string(),
      status,
      created_at: timeSchema,
      budget_limit_usd: z.number(),
      budget_used_usd: z.number(),
      warning_threshold: z.number().optional(),
      membership_count: z.int(),
    }),
  ),
  timezone: z.string(),
  ...pageShape,
});

export const modelListSchema = z.object({ models: z.array(z.string()) });
export const tenantModelsInputSchema = z.object({ models: z.array(text(128)).max(10_000) });

/** 0 inherits. */
const limit = z.int().min(0).max(1_000_000_000);
export const rateLimitsInputSchema = z.object({ requests_per_minute: limit, tokens_per_minute: limit, parallel_requests: limit });
export const rateLimitsSchema = z.object({ requests_per_minute: z.int(), tokens_per_minute: z.int(), parallel_requests: z.int() });
