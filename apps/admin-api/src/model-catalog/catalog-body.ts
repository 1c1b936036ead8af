import type { Prisma } from '@omg/database';
import { unbilledBuckets } from '@omg/domain';
import { getProvider, isSecretSetting } from '@omg/providers';
import type { CatalogContext } from '../config.js';
import { maskSecret } from '../settings/mask.js';
import { settingsOf, toEntry, type RouteEntry } from './catalog-route.js';
import type { StoredTier } from './prices.js';

/** With the price that counts now, or the next one when none does yet. */
export type CatalogRow = Prisma.ModelRouteGetPayload<{ include: { alias: true; priceVersions: true } }>;

/** The entry of a row, or why it cannot be opened. */
export function openEntry(row: CatalogRow, context: CatalogContext): { entry: RouteEntry | undefined; problem: string | null } {
  try {
    const entry = toEntry(row, context.ring);
    const { problems } = settingsOf(entry, context);
    // What the start found in the file (an entry that could not be read) is known only from then.
    return { entry, problem: problems.length > 0 ? problems.join('; ') : row.source === 'config' ? row.invalidReason : null };
  } catch {
    return { entry: undefined, problem: 'a secret is sealed with a key that is not configured any more' };
  }
}

export function catalogBody(row: CatalogRow, context: CatalogContext) {
  const { entry, problem } = openEntry(row, context);
  const definition = getProvider(row.provider);
  const masked = (settings: Readonly<Record<string, string>> | undefined): Record<string, string> =>
    Object.fromEntries(Object.entries(settings ?? {}).map(([name, value]) => [name, isSecretSetting(definition, name) ? maskSecret(value) : value]));
  const metadata = masked(entry?.sources.metadata ?? (row.metadata as Record<string, string>));
  const overrides = masked(entry?.sources.block ?? (row.providerConfig as Record<string, string>));
  return {
    id: row.id,
    alias: row.alias.alias,
    provider: row.provider,
    provider_model: row.providerModel,
    deployment: row.deployment,
    model_type: row.modelType,
    context_window: row.contextWindow,
    max_output_tokens: row.maxOutputTokens,
    modalities: row.modalities,
    modalities_json: row.modalities,
    supports_tools: row.supportsTools,
    ...priceBody(row.priceVersions[0]),
    pricing_tiers: tiersBody(row.priceVersions[0]?.tiers),
    unbilled_tiers: unbilledBuckets(Object(row.priceVersions[0]?.tiers ?? {})),
    price_version_id: row.priceVersions[0]?.id ?? null,
    currency: row.currency,
    enabled: row.enabled,
    weight: row.weight,
    endpoint: row.endpoint,
    api_key: maskSecret(entry?.sources.fields['api_key'] ?? ''),
    api_version: row.apiVersion,
    region: row.region,
    metadata,
    metadata_json: metadata,
    provider_overrides: overrides,
    provider_config_json: overrides,
    source: row.source,
    invalid_reason: problem,
    version: row.version,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  };
}

type PriceRow = CatalogRow['priceVersions'][number];

export function priceBody(version: PriceRow | undefined) {
  const number = (value: { toNumber(): number } | null | undefined) => value?.toNumber() ?? null;
  return {
    price_input: number(version?.priceInput),
    price_output: number(version?.priceOutput),
    price_cached_input: number(version?.priceCached),
    price_cache_write: number(version?.priceCacheWrite),
    price_reasoning: number(version?.priceReasoning),
  };
}

function tiersBody(tiers: unknown) {
  const buckets = Object.entries((tiers ?? {}) as Record<string, StoredTier[]>);
  return Object.fromEntries(buckets.map(([bucket, list]) => [bucket, list.map((tier) => ({ ...tier, price_per_unit: Number(tier.price_per_unit) }))]));
}

/** What an audit row tells of a route: everything but the secrets, which are only named. */
export function catalogAudit(body: ReturnType<typeof catalogBody>) {
  const {
    id: _id,
    modalities_json: _m,
    metadata_json: _j,
    provider_config_json: _p,
    created_at: _c,
    updated_at: _u,
    version: _v,
    price_version_id: _pv,
    invalid_reason: _i,
    unbilled_tiers: _ut,
    ...rest
  } = body;
  return { ...rest, has_api_key: body.api_key !== '' };
}
