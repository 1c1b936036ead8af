import { KeyRing, sealedContext } from '@omg/domain';
import {
  getProvider,
  isSecretSetting,
  resolveSettings,
  routeIdentity,
  type CatalogSources,
  type ProviderDefinition,
  type ResolvedSettings,
} from '@omg/providers';
import { boundedName } from '../bounded-name.js';
import type { CatalogContext } from '../config.js';

/**
 * A catalog entry in one form, wherever it comes from (YAML or `/admin`), and its way into a row and back. Secrets leave
 * the row's plain columns: they stand in `sealed_secrets`, by `<source>.<name>`, each sealed for this route and place.
 */
export interface RouteEntry {
  provider: string;
  providerModel: string;
  deployment: string;
  modelType: string;
  contextWindow: number;
  maxOutputTokens: number;
  modalities: string[];
  supportsTools: boolean;
  enabled: boolean;
  weight: number;
  /** With secrets in the clear. */
  sources: CatalogSources;
}

/** Columns of `model_routes` that come from an entry. */
export interface RouteColumns extends Omit<RouteEntry, 'sources'> {
  identity: string;
  endpoint: string;
  apiVersion: string;
  region: string;
  metadata: Record<string, string>;
  providerConfig: Record<string, string>;
  sealedSecrets: Record<string, string>;
  invalidReason: string | null;
}

/** The same columns as Prisma reads them. */
export type StoredRoute = Omit<RouteColumns, 'metadata' | 'providerConfig' | 'sealedSecrets' | 'identity' | 'invalidReason'> & {
  id: string;
  metadata: unknown;
  providerConfig: unknown;
  sealedSecrets: unknown;
};

const IDENTITY_CHARS_MAX = 512;
const REASON_CHARS_MAX = 1000;
type SourceName = keyof CatalogSources;

export function identityOf(entry: RouteEntry): string {
  return boundedName(routeIdentity(getProvider(entry.provider), entry, entry.sources), IDENTITY_CHARS_MAX);
}

/** Settings as the adapter will get them, and why the route cannot be used, if so. */
export function settingsOf(entry: Pick<RouteEntry, 'provider' | 'sources'>, context: CatalogContext): ResolvedSettings {
  const definition = getProvider(entry.provider);
  if (!definition) return { settings: {}, problems: [`unknown provider: ${entry.provider.slice(0, 64)}`] };
  return resolveSettings(definition, entry.sources, context.shared);
}

export function toColumns(id: string, entry: RouteEntry, context: CatalogContext): RouteColumns {
  const definition = getProvider(entry.provider);
  const { problems } = settingsOf(entry, context);
  const split = splitSecrets(definition, entry.sources);
  return {
    identity: identityOf(entry),
    provider: definition?.slug ?? entry.provider.toLowerCase(),
    providerModel: entry.providerModel,
    deployment: entry.deployment,
    modelType: entry.modelType,
    contextWindow: entry.contextWindow,
    maxOutputTokens: entry.maxOutputTokens,
    modalities: entry.modalities,
    supportsTools: entry.supportsTools,
    enabled: entry.enabled,
    weight: entry.weight,
    endpoint: split.plain.fields.endpoint ?? '',
    apiVersion: split.plain.fields.api_version ?? '',
    region: split.plain.fields.region ?? '',
    metadata: split.plain.metadata,
    providerConfig: split.plain.block,
    sealedSecrets: Object.fromEntries([...split.secrets].map(([place, secret]) => [place, context.ring.seal(secret, sealedContext.routeSetting(place, id))])),
    invalidReason: problems.length === 0 ? null : problems.join('; ').slice(0, REASON_CHARS_MAX),
  };
}

interface SplitSecrets {
  plain: Record<SourceName, Record<string, string>>;
  /** `<source>.<name>` -> secret. */
  secrets: Map<string, string>;
}

function splitSecrets(definition: ProviderDefinition | undefined, sources: CatalogSources): SplitSecrets {
  const split: SplitSecrets = { plain: { block: {}, fields: {}, metadata: {} }, secrets: new Map() };
  for (const source of ['block', 'fields', 'metadata'] as const) {
    for (const [name, value] of Object.entries(sources[source])) {
      if (value === '') continue;
      if (isSecretSetting(definition, name)) split.secrets.set(`${source}.${name}`, value);
      else split.plain[source][name] = value;
    }
  }
  return split;
}

/** The entry of a row, secrets opened. Throws an EnvelopeError when a key of the ring is missing. */
export function toEntry(row: StoredRoute, ring: KeyRing): RouteEntry {
  const block = { ...(row.providerConfig as Record<string, string>) };
  const metadata = { ...(row.metadata as Record<string, string>) };
  const fields: Record<string, string> = { endpoint: row.endpoint, api_version: row.apiVersion, region: row.region };
  const bySource = { block, fields, metadata };
  for (const [place, envelope] of Object.entries(row.sealedSecrets as Record<string, string>)) {
    const dot = place.indexOf('.');
    const source = bySource[place.slice(0, dot) as SourceName];
    if (source) source[place.slice(dot + 1)] = ring.open(envelope, sealedContext.routeSetting(place, row.id));
  }
  const { provider, providerModel, deployment, modelType, contextWindow, maxOutputTokens, modalities, supportsTools, enabled, weight } = row;
  return { provider, providerModel, deployment, modelType, contextWindow, maxOutputTokens, modalities, supportsTools, enabled, weight, sources: bySource };
}

/** Whether some secret of the row is sealed with an older key. */
export function needsSealing(row: Pick<StoredRoute, 'sealedSecrets'>, ring: KeyRing): boolean {
  return Object.values(row.sealedSecrets as Record<string, string>).some((envelope) => !ring.isCurrent(envelope));
}
