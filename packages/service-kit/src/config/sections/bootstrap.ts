import { API_KEY_SCOPES } from '@omg/contracts';
import { z } from 'zod';
import { parseDurationMs } from '../duration.js';
import { boolean, leaf, numeric } from '../fields.js';
import { budgetSchedule } from './governance.js';

const limit = () => numeric(z.int().nonnegative());
const name = () => z.string().trim().min(1).max(128);
const email = () =>
  z
    .string()
    .trim()
    .toLowerCase()
    .regex(/^[^@\s]+@[^@\s]+$/, 'must be a mail address')
    .max(254);

/** In any case, as in the admin API. */
const role = () =>
  z
    .string()
    .trim()
    .toLowerCase()
    .pipe(z.enum(['owner', 'admin', 'viewer', 'user']));

const rateLimit = z.object({ requests_per_minute: limit().optional(), tokens_per_minute: limit().optional(), parallel_requests: limit().optional() });

const apiKey = z.object({
  tenant: name(),
  /** A leading `sk-` is stripped: tokens read `sk-<prefix>.<secret>`. */
  prefix: z
    .string()
    .trim()
    .transform((value) => value.replace(/^sk-/i, ''))
    .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, _ or -')),
  // Anything else could not travel in a header, so the key would never match.
  secret: z.string().regex(/^[\x21-\x7e]{1,256}$/, 'must be 1 to 256 printable ASCII characters without spaces'),
  name: name(),
  rate_limit: rateLimit.optional(),
  quota: z.object({ budget_usd: numeric(z.number().positive()).optional(), warning_threshold: numeric(z.number().gt(0).max(1)).optional() }).optional(),
  scopes: z.array(z.enum(API_KEY_SCOPES)).optional(),
});

// The limits may stand in `limits` or, as older samples have them, beside `tenant`.
const tenantLimit = z.object({
  tenant: name(),
  limits: rateLimit.optional(),
  requests_per_minute: limit().optional(),
  tokens_per_minute: limit().optional(),
  parallel_requests: limit().optional(),
});

const tenantBudget = z.object({
  tenant: name(),
  budget_usd: numeric(z.number().positive()).optional(),
  warning_threshold: numeric(z.number().gt(0).max(1)).optional(),
  refresh_schedule: budgetSchedule().optional(),
  enforcement: z.enum(['estimate', 'strict']).optional(),
  alert_emails: z.array(z.string()).optional(),
  alert_webhooks: z.array(z.string()).optional(),
  alert_cooldown: z
    .union([z.string(), z.number()])
    .refine((value) => parseDurationMs(value) !== undefined, 'must be a duration such as 1h')
    .optional(),
});

const many = <T extends z.ZodType>(entry: T) => z.array(entry).max(10_000).default([]);

/** Rows that are made at the start when they are missing. */
export const bootstrapSection = z.object({
  tenants: leaf(many(z.object({ name: name(), status: z.enum(['active', 'suspended']).default('active') })), {
    about: 'Tenants: `name`, `status` (active, suspended).',
    example: [{ name: 'demo' }],
  }),
  admin_users: leaf(many(z.object({ email: email(), name: name(), password: z.string().min(8).optional(), super_admin: boolean().default(true) })), {
    about: 'Administrators: `email`, `name`, `password`, `super_admin` (true).',
    secret: true,
    example: [{ email: 'admin@example.com', name: 'Admin', password: '${ADMIN_PASSWORD:-change-me}' }],
  }),
  api_keys: leaf(many(apiKey), {
    about: 'API keys: `tenant`, `prefix`, `secret`, `name`, `rate_limit`, `quota`, `scopes`. The token is `sk-<prefix>.<secret>`.',
    secret: true,
    example: [
      {
        tenant: 'demo',
        prefix: 'demo',
        secret: '${DEMO_KEY_SECRET:-my-secret}',
        name: 'Demo key',
        rate_limit: { requests_per_minute: 600, tokens_per_minute: 100000, parallel_requests: 10 },
        quota: { budget_usd: 25, warning_threshold: 0.8 },
      },
    ],
  }),
  memberships: leaf(many(z.object({ tenant: name(), email: email(), role: role() })), {
    about: 'Memberships: `tenant`, `email`, `role` (owner, admin, viewer, user).',
    example: [{ tenant: 'demo', email: 'admin@example.com', role: 'owner' }],
  }),
  tenant_limits: leaf(many(tenantLimit), {
    about: 'Rate limits of tenants: `tenant`, `limits`.',
    example: [{ tenant: 'demo', limits: { requests_per_minute: 2000, tokens_per_minute: 500000, parallel_requests: 50 } }],
  }),
  tenant_budgets: leaf(many(tenantBudget), {
    about:
      'Budgets of tenants: `tenant`, `budget_usd`, `warning_threshold`, `refresh_schedule`, `enforcement`, `alert_emails`, `alert_webhooks`, `alert_cooldown`; what is missing inherits the defaults.',
    example: [{ tenant: 'demo', budget_usd: 50, refresh_schedule: 'calendar_month' }],
  }),
  default_models: leaf(many(z.union([z.string().trim().min(1), z.object({ alias: z.string().trim().min(1) }).transform((entry) => entry.alias)])), {
    about: 'Aliases that people may use with keys of their own, in their personal tenants.',
    example: ['gpt-4o-mini'],
  }),
});
