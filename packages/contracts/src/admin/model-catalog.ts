import { OPERATIONS } from '@omg/domain';
import { z } from 'zod';
import { pricingTiersSchema } from '../pricing-tiers.js';
import { text, timeSchema, uuidSchema, wholeNumber } from './common.js';

/** The model catalog: an alias has one or several routes, each a provider bound to a model there. */

const SETTINGS_MAX = 64;
const SETTING_CHARS_MAX = 32_768;

export const aliasSchema = text(128);

/** Settings as forms and scripts write them; inside they are texts. */
const settingValue = z.union([z.string().max(SETTING_CHARS_MAX), z.number(), z.boolean()]).transform(String);
const settingName = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'must be a setting name');
export const routeSettingsSchema = z
  .record(settingName, settingValue)
  .refine((settings) => Object.keys(settings).length <= SETTINGS_MAX, `must have at most ${SETTINGS_MAX} entries`);

const price = z.number().min(0).max(1_000_000).nullish();

/**
 * A whole entry: what is absent takes its default. Only secrets are kept when they come back empty, masked or not at all.
 * The provider's own settings stand under the provider's key or in `provider_overrides`.
 */
export const catalogEntryInputSchema = z
  .object({
    /** Changes this route. */
    id: uuidSchema.optional(),
    /** Adds one more route to the alias. */
    append: z.boolean().default(false),
    alias: aliasSchema,
    provider: text(64),
    provider_model: text(256),
    deployment: z.string().trim().max(256).nullish(),
    model_type: text(32, 0)
      .toLowerCase()
      .transform((value) => value || 'llm')
      .default('llm'),
    context_window: z.int().min(0).max(2_000_000_000).default(0),
    max_output_tokens: z.int().min(0).max(2_000_000_000).default(0),
    modalities: z.array(text(32).toLowerCase()).max(16).default([]),
    supports_tools: z.boolean().default(false),
    /** USD per 1 000 tokens; absent or null: unknown, which is not zero. */
    price_input: price,
    price_output: price,
    price_cached_input: price,
    price_cache_write: price,
    price_reasoning: price,
    pricing_tiers: pricingTiersSchema.default({}),
    /** From when the prices count; absent: from now on. */
    price_valid_from: timeSchema.optional(),
    currency: z
      .string()
      .trim()
      .toUpperCase()
      .transform((value) => value || 'USD')
      .pipe(z.literal('USD', 'only USD is supported'))
      .default('USD'),
    enabled: z.boolean().default(true),
    /** Share of first attempts; 0 means 100. */
    weight: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(100)
      .transform((value) => (value === 0 ? 100 : value)),
    endpoint: z.string().trim().max(2048).nullish(),
    /** null removes it. */
    api_key: z.string().trim().max(SETTING_CHARS_MAX).nullish(),
    api_version: z.string().trim().max(64).nullish(),
    region: z.string().trim().max(64).nullish(),
    metadata: routeSettingsSchema.default({}),
    provider_overrides: routeSettingsSchema.optional(),
  })
  .catchall(z.unknown());

const shownPrice = z.number().nullable();
const settings = z.record(z.string(), z.string());

export const catalogEntrySchema = z.object({
  id: uuidSchema,
  alias: z.string(),
  provider: z.string(),
  provider_model: z.string(),
  deployment: z.string(),
  model_type: z.string(),
  context_window: z.int(),
  max_output_tokens: z.int(),
  modalities: z.array(z.string()),
  modalities_json: z.array(z.string()),
  supports_tools: z.boolean(),
  price_input: shownPrice,
  price_output: shownPrice,
  price_cached_input: shownPrice,
  price_cache_write: shownPrice,
  price_reasoning: shownPrice,
  pricing_tiers: z.record(
    z.string(),
    z.array(z.object({ unit: z.string(), price_per_unit: z.number(), max_units: z.number().optional(), metadata: settings.optional() })),
  ),
  /** Buckets of `pricing_tiers` that are kept for information: no operation that is served is billed by them. */
  unbilled_tiers: z.array(z.string()),
  price_version_id: uuidSchema.nullable(),
  currency: z.string(),
  enabled: z.boolean(),
  weight: z.int(),
  endpoint: z.string(),
  /** Masked. */
  api_key: z.string(),
  api_version: z.string(),
  region: z.string(),
  metadata: settings,
  metadata_json: settings,
  provider_overrides: settings,
  provider_config_json: settings,
  /** `config`: from the configuration file; a change here makes a `db` route that replaces it. */
  source: z.enum(['config', 'db']),
  /** Why the route cannot be used; null when it can. */
  invalid_reason: z.string().nullable(),
  version: z.int(),
  created_at: timeSchema,
  updated_at: timeSchema,
});
export const catalogSchema = z.array(catalogEntrySchema);

export const catalogRemoveQuerySchema = z.object({ id: uuidSchema.optional() });

export const MODEL_STATUSES = ['disabled', 'unknown', 'offline', 'degraded', 'online'] as const;
export const catalogStatusSchema = z.object({ statuses: z.array(z.object({ alias: z.string(), status: z.enum(MODEL_STATUSES) })) });

export const priceHistorySchema = z.object({
  alias: z.string(),
  routes: z.array(
    z.object({
      id: uuidSchema,
      provider: z.string(),
      provider_model: z.string(),
      versions: z.array(
        z.object({
          id: uuidSchema,
          price_input: shownPrice,
          price_output: shownPrice,
          price_cached_input: shownPrice,
          price_cache_write: shownPrice,
          price_reasoning: shownPrice,
          price_image_cents: shownPrice,
          valid_from: timeSchema,
          created_at: timeSchema,
          current: z.boolean(),
        }),
      ),
    }),
  ),
});

/** Absent id: every route of the alias. `call` sends one small request, which costs a few tokens. */
export const routeTestInputSchema = z.object({ id: uuidSchema.optional(), mode: z.enum(['probe', 'call']).default('probe') }).prefault({});
export const routeTestSchema = z.object({
  alias: z.string(),
  results: z.array(
    z.object({
      id: uuidSchema,
      provider: z.string(),
      provider_model: z.string(),
      ok: z.boolean(),
      latency_ms: z.number(),
      /** Class of the failure; `not_probeable`: try mode `call`. */
      error: z.string().optional(),
      /** HTTP status of the provider, where it answered. */
      upstream_status: z.int().optional(),
      reason: z.string().optional(),
    }),
  ),
});

const flag = z
  .enum(['true', 'false', '1', '0', ''])
  .default('false')
  .transform((value) => value === 'true' || value === '1' || value === '');
export const explainQuerySchema = z.object({
  model: aliasSchema,
  operation: z.enum(OPERATIONS).default('chat'),
  stream: flag,
  tools: flag,
  image_input: flag,
  json_schema: flag,
  logprobs: flag,
  token_arrays: flag,
  choices: wholeNumber(1, 128).default(1),
  input_tokens: wholeNumber(0, 2_000_000_000).default(0),
});
export const explainSchema = z.object({
  model: z.string(),
  operation: z.enum(OPERATIONS),
  /** What a client would get: 200, or the refusal. */
  outcome: z.object({ status: z.int(), why: z.string().optional(), param: z.string().optional() }),
  routes: z.array(
    z.object({
      id: uuidSchema,
      provider: z.string(),
      provider_model: z.string(),
      weight: z.int(),
      eligible: z.boolean(),
      /** Tried after all others, because the health monitor found it down. */
      last_resort: z.boolean(),
      /** Chance to be tried first, 0 to 1. */
      odds: z.number(),
      /** Why it is not tried. */
      reason: z.string().optional(),
      param: z.string().optional(),
      health: z.enum(['healthy', 'degraded', 'down', 'unknown']),
      invalid_reason: z.string().optional(),
    }),
  ),
});

export const incidentQuerySchema = z.object({ alias: aliasSchema.optional(), open: flag, limit: wholeNumber(1, 200).default(50) });
export const incidentListSchema = z.object({
  incidents: z.array(
    z.object({
      id: uuidSchema,
      route_id: z.string(),
      alias: z.string(),
      provider: z.string(),
      state: z.enum(['degraded', 'down']),
      reason: z.string().optional(),
      started_at: timeSchema,
      ended_at: timeSchema.nullable(),
    }),
  ),
});
