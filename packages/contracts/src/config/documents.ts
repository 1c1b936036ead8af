import { TIER_UNITS } from '@omg/domain';
import { z } from 'zod';
import { nanoText } from '../events/usage-event.js';

/**
 * Documents of the NATS KV bucket `config`: what the edges know of the control plane.
 *
 * | key | document |
 * |---|---|
 * | `defaults` | DefaultsDocument |
 * | `model.<token of the lower-cased alias>` | ModelDocument |
 * | `tenant.<uuid>` | TenantDocument |
 * | `key.<token of the prefix>` | KeyDocument, fetched on demand |
 *
 * A deleted key means that the thing is gone. Amounts are nano-USD as decimal text.
 */

const decimal = z.string();

export const limitsOverrideSchema = z.object({
  requestsPerMinute: z.int().nonnegative().optional(),
  tokensPerMinute: z.int().nonnegative().optional(),
  parallelRequests: z.int().nonnegative().optional(),
});

const enforcement = z.enum(['estimate', 'strict']);

export const defaultsDocumentSchema = z.object({
  v: z.literal(1),
  timezone: z.string(),
  limits: z.object({
    requestsPerMinute: z.int().positive(),
    tokensPerMinute: z.int().positive(),
    parallelRequestsKey: z.int().positive(),
    parallelRequestsTenant: z.int().positive(),
  }),
  budget: z.object({
    limitNano: nanoText,
    warningThreshold: z.number(),
    schedule: z.string(),
    enforcement,
  }),
});
export type DefaultsDocument = z.infer<typeof defaultsDocumentSchema>;

const tier = z.object({
  unit: z.enum(TIER_UNITS),
  price_per_unit: decimal,
  max_units: z.number().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});

export const priceVersionSchema = z.object({
  id: z.string(),
  input: decimal.optional(),
  output: decimal.optional(),
  cachedInput: decimal.optional(),
  cacheWrite: decimal.optional(),
  reasoning: decimal.optional(),
  imageCents: decimal.optional(),
  tiers: z.record(z.string(), z.array(tier)).optional(),
});

export const routeDocumentSchema = z.object({
  id: z.string(),
  provider: z.string(),
  providerModel: z.string(),
  deployment: z.string(),
  modelType: z.string(),
  modalities: z.array(z.string()),
  supportsTools: z.boolean(),
  contextWindow: z.int().nonnegative(),
  maxOutputTokens: z.int().nonnegative(),
  weight: z.int().positive(),
  enabled: z.boolean(),
  /** Why the entry cannot be used. Such a route stays in the document, so that its alias answers 503 rather than 404; nobody calls it. */
  invalid: z.string().optional(),
  price: priceVersionSchema.optional(),
  /** Resolved settings: provider block, entry, metadata and shared credentials merged; secrets are in `sealed`. */
  settings: z.record(z.string(), z.string()),
  /** Secret settings, each sealed in an envelope (AES-256-GCM). */
  sealed: z.record(z.string(), z.string()),
});
export type RouteDocument = z.infer<typeof routeDocumentSchema>;

export const modelDocumentSchema = z.object({
  v: z.literal(1),
  alias: z.string(),
  createdUnix: z.int(),
  routes: z.array(routeDocumentSchema).max(64),
});
export type ModelDocument = z.infer<typeof modelDocumentSchema>;

export const tenantDocumentSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  name: z.string(),
  status: z.enum(['active', 'suspended']),
  limits: limitsOverrideSchema.optional(),
  /** Absent fields inherit the defaults. */
  budget: z
    .object({ limitNano: nanoText.optional(), warningThreshold: z.number().optional(), schedule: z.string().optional(), enforcement: enforcement.optional() })
    .optional(),
  /** Lower-cased aliases; null: all enabled models. */
  models: z.array(z.string()).nullable(),
});
export type TenantDocument = z.infer<typeof tenantDocumentSchema>;

export const keyDocumentSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  tenantId: z.uuid(),
  prefix: z.string(),
  /** HMAC-SHA-256(pepper, secret), base64. After a rotation the older digest counts until its end of grace. */
  digests: z.array(z.object({ digest: z.string(), validUntilMs: z.int().optional() })).max(4),
  revoked: z.boolean(),
  expiresAtMs: z.int().optional(),
  /** Empty: all. */
  scopes: z.array(z.string()),
  limits: limitsOverrideSchema.optional(),
  quota: z.object({ limitNano: nanoText.optional(), warningThreshold: z.number().optional() }).optional(),
});
export type KeyDocument = z.infer<typeof keyDocumentSchema>;

/** KV keys allow few characters: anything else travels as base64url. */
export function kvToken(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

export const configKey = {
  defaults: 'defaults',
  model: (alias: string) => `model.${kvToken(alias.toLowerCase())}`,
  tenant: (id: string) => `tenant.${id}`,
  key: (prefix: string) => `key.${kvToken(prefix)}`,
};
