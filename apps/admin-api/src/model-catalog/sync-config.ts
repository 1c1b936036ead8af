import { canonicalJson } from '@omg/domain';
import type { CatalogEntry, CatalogItem } from '@omg/service-kit';
import { PROVIDER_BLOCKS } from '@omg/service-kit';
import { blockName, getProvider } from '@omg/providers';
import type { Prisma, PrismaTx } from '@omg/database';
import type { CatalogContext } from '../config.js';
import { newId } from '../new-id.js';
import { ROUTES_MAX } from '../projector/documents.js';
import { identityOf, needsSealing, settingsOf, toColumns, toEntry, type RouteColumns, type RouteEntry } from './catalog-route.js';
import { insertPrice } from './prices.queries.js';
import { priceColumns, samePrice, isUnpriced, type PriceColumns, type Prices } from './prices.js';

/**
 * Mirrors the `model_catalog` of the configuration into rows with source `config`: new entries are added, changed ones
 * updated, entries that left the file removed. Rows with source `db` (made in `/admin`, tombstones too) are never touched;
 * they hide the config row of the same identity when the catalog is read.
 */
export interface CatalogSyncResult {
  added: number;
  updated: number;
  removed: number;
  /** For the log. */
  warnings: string[];
}

interface Wanted {
  aliasKey: string;
  alias: string;
  /** Undefined: the entry could not be read. */
  entry: RouteEntry | undefined;
  columns: (id: string) => RouteColumns;
  identity: string;
  price: PriceColumns;
}

type Row = Prisma.ModelRouteGetPayload<{ include: { priceVersions: true } }>;

export async function syncConfigCatalog(tx: PrismaTx, items: readonly CatalogItem[], context: CatalogContext): Promise<CatalogSyncResult> {
  const result: CatalogSyncResult = { added: 0, updated: 0, removed: 0, warnings: [] };
  const wanted = collect(items, context, result.warnings);
  const rows = await tx.modelRoute.findMany({ where: { source: 'config' }, include: { priceVersions: { orderBy: { validFrom: 'desc' }, take: 1 } } });
  const byIdentity = new Map(rows.map((row) => [`${row.aliasKey}\n${row.identity}`, row]));
  await ensureAliases(tx, wanted);
  for (const [key, item] of wanted) {
    const row = byIdentity.get(key);
    byIdentity.delete(key);
    if (!row) {
      await insertRoute(tx, item);
      result.added++;
    } else if (await updateRoute(tx, row, item, context)) result.updated++;
  }
  const gone = [...byIdentity.values()];
  if (gone.length > 0) {
    await tx.modelRoute.deleteMany({ where: { id: { in: gone.map((row) => row.id) } } });
    await dropUnusedAliases(tx, [...new Set(gone.map((row) => row.aliasKey))]);
    result.removed = gone.length;
  }
  return result;
}

function collect(items: readonly CatalogItem[], context: CatalogContext, warnings: string[]): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const item of items) {
    const next = item.ok ? readable(item.entry, context) : broken(item);
    if (!next) continue;
    // What the file's schema refuses was told when it was read; here are the settings that the provider misses.
    const problems = item.ok && item.entry.enabled ? settingsOf(next.entry!, context).problems : [];
    if (problems.length > 0) warnings.push(`model_catalog[${item.index}]: ${problems.join('; ')}; this route is switched off`);
    const key = `${next.aliasKey}\n${next.identity}`;
    if (wanted.has(key)) warnings.push(`model_catalog[${item.index}]: the same route as an earlier entry of ${next.alias}; it is left out`);
    else wanted.set(key, next);
  }
  for (const routes of Map.groupBy(wanted.values(), ({ aliasKey }) => aliasKey).values()) {
    if (routes.length > ROUTES_MAX) warnings.push(`model_catalog: ${routes[0]!.alias} has ${routes.length} routes, of which the edges are given ${ROUTES_MAX}`);
  }
  return wanted;
}

function readable(entry: CatalogEntry, context: CatalogContext): Wanted {
  const route = fromYaml(entry);
  return {
    aliasKey: entry.alias.toLowerCase(),
    alias: entry.alias,
    entry: route,
    identity: identityOf(route),
    columns: (id) => toColumns(id, route, context),
    price: priceColumns(pricesOf(entry)),
  };
}

/** An entry that cannot be read still shows in `/admin`, with the reason. Without an alias there is nothing to show. */
function broken(item: Extract<CatalogItem, { ok: false }>): Wanted | undefined {
  const alias = item.alias?.trim().slice(0, 128);
  if (!alias) return undefined;
  const provider = item.provider?.trim().toLowerCase().slice(0, 64) || 'unknown';
  const providerModel = item.providerModel?.trim().slice(0, 256) || 'unknown';
  const identity = `entry ${item.index} | ${provider} | ${providerModel}`;
  const columns: RouteColumns = {
    identity,
    provider,
    providerModel,
    deployment: providerModel,
    modelType: 'llm',
    contextWindow: 0,
    maxOutputTokens: 0,
    modalities: [],
    supportsTools: false,
    enabled: item.enabled,
    weight: 100,
    endpoint: '',
    apiVersion: '',
    region: '',
    metadata: {},
    providerConfig: {},
    sealedSecrets: {},
    invalidReason: item.problems.join('; ').slice(0, 1000),
  };
  return { aliasKey: alias.toLowerCase(), alias, entry: undefined, identity, columns: () => columns, price: priceColumns({ tiers: {} }) };
}

/** The provider's own block counts; blocks of other providers in the same entry have no effect. */
export function fromYaml(entry: CatalogEntry): RouteEntry {
  const definition = getProvider(entry.provider);
  const name = definition ? blockName(definition) : entry.provider.replaceAll('-', '_');
  const block = (PROVIDER_BLOCKS as readonly string[]).includes(name)
    ? (entry as unknown as Record<string, Record<string, string> | undefined>)[name]
    : undefined;
  const { deployment: blockDeployment, ...blockRest } = block ?? {};
  const written = entry.deployment === entry.provider_model ? '' : entry.deployment;
  return {
    provider: definition?.slug ?? entry.provider,
    providerModel: entry.provider_model,
    deployment: blockDeployment || written || entry.metadata['deployment'] || entry.provider_model,
    modelType: entry.model_type,
    contextWindow: entry.context_window,
    maxOutputTokens: entry.max_output_tokens,
    modalities: entry.modalities,
    supportsTools: entry.supports_tools,
    enabled: entry.enabled,
    weight: entry.weight,
    sources: {
      block: blockRest,
      fields: { endpoint: entry.endpoint, api_key: entry.api_key, api_version: entry.api_version, region: entry.region },
      metadata: entry.metadata,
    },
  };
}

function pricesOf(entry: CatalogEntry): Prices {
  const image = Number(entry.metadata['price_image_cents']);
  return {
    input: entry.price_input,
    output: entry.price_output,
    cachedInput: entry.price_cached_input,
    cacheWrite: entry.price_cache_write,
    reasoning: entry.price_reasoning,
    imageCents: entry.metadata['price_image_cents'] !== undefined && image >= 0 ? image : undefined,
    tiers: entry.pricing_tiers,
  };
}

async function ensureAliases(tx: PrismaTx, wanted: ReadonlyMap<string, Wanted>): Promise<void> {
  const aliases = new Map([...wanted.values()].reverse().map((item) => [item.aliasKey, item.alias]));
  await tx.modelAlias.createMany({ data: [...aliases].map(([key, alias]) => ({ key, alias })), skipDuplicates: true });
}

async function insertRoute(tx: PrismaTx, item: Wanted): Promise<void> {
  const id = newId();
  await tx.modelRoute.create({ data: { id, aliasKey: item.aliasKey, source: 'config', ...item.columns(id) } });
  if (!isUnpriced(item.price)) await insertPrice(tx, id, item.price);
}

/** True when something was written. */
async function updateRoute(tx: PrismaTx, row: Row, item: Wanted, context: CatalogContext): Promise<boolean> {
  const columns = item.columns(row.id);
  const repriced = !samePrice(row.priceVersions[0], item.price);
  if (repriced) await insertPrice(tx, row.id, item.price);
  const changed =
    row.invalidReason !== columns.invalidReason ||
    needsSealing(row, context.ring) ||
    content(item.entry ?? columns) !== content(item.entry ? openedOrUndefined(row, context) : columnsOf(row));
  if (changed) await tx.modelRoute.update({ where: { id: row.id }, data: { ...columns, version: { increment: 1 } } });
  return changed || repriced;
}

/** A row whose secrets do not open any more is written anew from the file. */
function openedOrUndefined(row: Row, context: CatalogContext): RouteEntry | undefined {
  try {
    return toEntry(row, context.ring);
  } catch {
    return undefined;
  }
}

function columnsOf(row: Row): Partial<RouteColumns> {
  return { provider: row.provider, providerModel: row.providerModel, enabled: row.enabled, invalidReason: row.invalidReason };
}

function content(value: RouteEntry | Partial<RouteColumns> | undefined): string {
  if (!value) return '';
  if (!('sources' in value)) {
    const { provider, providerModel, enabled, invalidReason } = value;
    return canonicalJson({ provider, providerModel, enabled, invalidReason });
  }
  const nonEmpty = (source: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(source).filter(([, text]) => text !== ''));
  const { block, fields, metadata } = value.sources;
  return canonicalJson({ ...value, sources: { block: nonEmpty(block), fields: nonEmpty(fields), metadata: nonEmpty(metadata) } });
}

/** Aliases without routes go, unless an allowlist or the default models still name them: the entry may come back. */
export async function dropUnusedAliases(tx: PrismaTx, keys: string[]): Promise<void> {
  await tx.modelAlias.deleteMany({ where: { key: { in: keys }, routes: { none: {} }, tenantModels: { none: {} }, defaultModels: null } });
}
