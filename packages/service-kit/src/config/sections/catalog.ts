import { pricingTiersSchema } from '@omg/contracts';
import { unbilledBuckets } from '@omg/domain';
import { z } from 'zod';
import { asFlag } from '../coerce.js';
import { boolean, leaf, numeric } from '../fields.js';

/** Settings as YAML writes them (numbers and flags included); they are texts inside. */
const settings = z.record(z.string(), z.unknown().transform(settingText));
const price = () => numeric(z.number().nonnegative());
const count = () => numeric(z.int().nonnegative());

/** Lists are written by comma, maps (such as a service account that was pasted without quotes) as JSON. */
function settingText(value: unknown): string {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.join(',');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export const PROVIDER_BLOCKS = ['azure', 'bedrock', 'anthropic', 'openai', 'openai_compatible', 'vertex', 'huggingface'] as const;
const block = settings.optional();

/** One route of an alias. Prices are USD per 1 000 tokens. */
export const catalogEntrySchema = z
  .object({
    alias: z.string().trim().min(1).max(128),
    provider: z
      .string()
      .trim()
      .toLowerCase()
      .min(1)
      .transform((value) => value.replaceAll('_', '-')),
    provider_model: z.string().trim().min(1).max(256),
    deployment: z.string().trim().max(256).optional(),
    model_type: z.string().trim().toLowerCase().default('llm'),
    context_window: count().default(0),
    max_output_tokens: count().default(0),
    modalities: z.array(z.string().trim().toLowerCase()).max(16).default([]),
    supports_tools: boolean().default(false),
    price_input: price().optional(),
    price_output: price().optional(),
    price_cached_input: price().optional(),
    price_cache_write: price().optional(),
    price_reasoning: price().optional(),
    currency: z.string().trim().toUpperCase().pipe(z.literal('USD', 'only USD is supported')).default('USD'),
    pricing_tiers: pricingTiersSchema.default({}),
    enabled: boolean().default(true),
    endpoint: z.string().trim().default(''),
    api_key: z.string().trim().default(''),
    api_version: z.string().trim().default(''),
    region: z.string().trim().default(''),
    weight: numeric(z.int().nonnegative().max(1_000_000))
      .default(100)
      .transform((value) => (value === 0 ? 100 : value)),
    metadata: settings.default({}),
    azure: block,
    bedrock: block,
    anthropic: block,
    openai: block,
    openai_compatible: block,
    vertex: block,
    huggingface: block,
  })
  .transform((entry) => ({ ...entry, deployment: entry.deployment || entry.provider_model }));

export type CatalogEntry = z.output<typeof catalogEntrySchema>;

/** A broken entry disables only its route, so it travels with its problems instead of stopping the start. */
export type CatalogItem =
  | { ok: true; index: number; entry: CatalogEntry }
  | {
      ok: false;
      index: number;
      alias: string | undefined;
      provider: string | undefined;
      providerModel: string | undefined;
      enabled: boolean;
      problems: string[];
    };

export const modelCatalog = leaf(z.array(z.unknown()).max(10_000).default([]), {
  about: 'Models and their routes; several entries with one alias are several routes. A broken entry disables only its route.',
  secret: true,
  example: [
    {
      alias: 'gpt-4o-mini',
      provider: 'azure',
      provider_model: 'gpt-4o-mini',
      deployment: 'gpt-4o-mini',
      model_type: 'llm',
      context_window: 128000,
      max_output_tokens: 16384,
      modalities: ['text', 'image'],
      supports_tools: true,
      price_input: 0.00015,
      price_output: 0.0006,
      currency: 'USD',
      enabled: true,
      endpoint: 'https://my-resource.openai.azure.com',
      api_key: '${AZURE_OPENAI_KEY:-}',
      api_version: '2024-10-21',
      weight: 100,
    },
    {
      alias: 'claude-sonnet',
      provider: 'bedrock',
      provider_model: 'anthropic.claude-3-5-sonnet-20240620-v1:0',
      modalities: ['text', 'image'],
      supports_tools: true,
      price_input: 0.003,
      price_output: 0.015,
      region: 'us-east-1',
      metadata: { bedrock_chat_format: 'anthropic_messages', anthropic_version: 'bedrock-2023-05-31', bedrock_default_max_tokens: '1024' },
    },
  ],
});

/** Set by the loader on an entry that refers to variables which are not set: their names. */
export const UNRESOLVED = Symbol('unresolved');

/** Validates entry by entry; a price above 1 USD per 1 000 tokens is probably meant per million, and prices that bill nothing are told. */
export function readCatalog(raw: readonly unknown[]): { items: CatalogItem[]; warnings: string[] } {
  const warnings: string[] = [];
  const items = raw.map((value, index): CatalogItem => {
    const parsed = catalogEntrySchema.safeParse(value);
    const unresolved = (value as { [UNRESOLVED]?: string[] } | null)?.[UNRESOLVED];
    if (!parsed.success || unresolved) {
      const problems = [
        ...(parsed.error?.issues ?? []).map((issue) => `model_catalog[${index}]${issue.path.map((part) => `.${String(part)}`).join('')}: ${issue.message}`),
        ...(unresolved ? [`model_catalog[${index}]: refers to ${unresolved.join(', ')}, which is not set`] : []),
      ];
      warnings.push(...problems.map((problem) => `${problem}; this route is switched off`));
      return {
        ok: false,
        index,
        alias: textOf(value, 'alias'),
        provider: textOf(value, 'provider'),
        providerModel: textOf(value, 'provider_model'),
        enabled: isEnabled(value),
        problems,
      };
    }
    for (const field of ['price_input', 'price_output', 'price_cached_input', 'price_cache_write', 'price_reasoning'] as const) {
      if ((parsed.data[field] ?? 0) > 1) warnings.push(`model_catalog[${index}].${field}: more than 1 USD per 1 000 tokens; is it meant per million?`);
    }
    for (const bucket of unbilledBuckets(parsed.data.pricing_tiers))
      warnings.push(`model_catalog[${index}].pricing_tiers.${bucket}: kept for information; no operation that is served is billed by it`);
    return { ok: true, index, entry: parsed.data };
  });
  return { items, warnings };
}

/** An entry that is switched off stays so, whatever else is wrong with it. */
function isEnabled(value: unknown): boolean {
  return asFlag((value as { enabled?: unknown } | null | undefined)?.enabled) !== false;
}

function textOf(value: unknown, key: string): string | undefined {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === 'string' ? found.slice(0, 256) : undefined;
}
