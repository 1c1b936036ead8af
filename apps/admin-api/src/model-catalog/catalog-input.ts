import { AdminError, routeSettingsSchema, type catalogEntryInputSchema } from '@omg/contracts';
import { blockName, getProvider, isSecretSetting, type CatalogSources, type ProviderDefinition } from '@omg/providers';
import type { Parsed } from '../http/paging.js';
import { isMasked } from '../settings/mask.js';
import type { RouteEntry } from './catalog-route.js';
import type { Prices } from './prices.js';

export type CatalogInput = Parsed<typeof catalogEntryInputSchema>;

export function requireProvider(name: string): ProviderDefinition {
  const definition = getProvider(name);
  if (!definition) throw new AdminError('invalid_request', { message: 'provider: is not a registered provider' });
  return definition;
}

/** An entry from the admin API. `stored` is the route that it replaces, whose secrets stay where the input does not name new ones. */
export function entryFromInput(input: CatalogInput, definition: ProviderDefinition, stored: RouteEntry | undefined): RouteEntry {
  const { deployment: blockDeployment, ...block } = { ...ownBlock(input, definition), ...input.provider_overrides };
  const sources: CatalogSources = {
    block,
    fields: {
      endpoint: input.endpoint ?? '',
      api_version: input.api_version ?? '',
      region: input.region ?? '',
      ...(input.api_key !== null && { api_key: input.api_key ?? '' }),
    },
    metadata: input.metadata,
  };
  return {
    provider: definition.slug,
    providerModel: input.provider_model,
    deployment: blockDeployment || input.deployment || input.metadata['deployment'] || input.provider_model,
    modelType: input.model_type,
    contextWindow: input.context_window,
    maxOutputTokens: input.max_output_tokens,
    modalities: input.modalities,
    supportsTools: input.supports_tools,
    enabled: input.enabled,
    weight: input.weight,
    sources: keepSecrets(definition, sources, stored?.sources),
  };
}

/** The block under the provider's own key; those of other providers are unknown fields. */
function ownBlock(input: CatalogInput, definition: ProviderDefinition): Record<string, string> {
  const name = blockName(definition);
  const value = (input as Record<string, unknown>)[name];
  if (value === undefined || value === null) return {};
  const parsed = routeSettingsSchema.safeParse(value);
  if (!parsed.success) throw new AdminError('invalid_request', { message: `${name}: must be a map of settings` });
  return parsed.data;
}

/** A secret that comes back empty or masked is the stored one. */
function keepSecrets(definition: ProviderDefinition, sources: CatalogSources, stored: CatalogSources | undefined): CatalogSources {
  const keep = (source: keyof CatalogSources): Record<string, string> => {
    const entries = Object.entries(sources[source]).map(([name, value]) => {
      if (!isSecretSetting(definition, name) || (value !== '' && !isMasked(value))) return [name, value];
      return [name, stored?.[source][name] ?? ''];
    });
    return Object.fromEntries(entries) as Record<string, string>;
  };
  return { block: keep('block'), fields: keep('fields'), metadata: keep('metadata') };
}

export function pricesFromInput(input: CatalogInput): Prices {
  const cents = input.metadata['price_image_cents'] ?? '';
  if (cents !== '' && !/^\d{1,9}(\.\d{1,12})?$/.test(cents))
    throw new AdminError('invalid_request', { message: 'metadata.price_image_cents: must be a number of cents' });
  return {
    input: input.price_input ?? undefined,
    output: input.price_output ?? undefined,
    cachedInput: input.price_cached_input ?? undefined,
    cacheWrite: input.price_cache_write ?? undefined,
    reasoning: input.price_reasoning ?? undefined,
    imageCents: cents === '' ? undefined : Number(cents),
    tiers: input.pricing_tiers as Prices['tiers'],
  };
}
