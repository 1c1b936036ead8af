import {
  defaultsDocumentSchema,
  type BudgetSetting,
  type DefaultsDocument,
  type KeyDocument,
  type ModelDocument,
  type RateLimitsSetting,
  type RouteDocument,
  type TenantDocument,
} from '@omg/contracts';
import { KeyRing, nanoUsdFromUsd, parseBudgetSchedule, sealedContext } from '@omg/domain';
import { getProvider, isSecretSetting } from '@omg/providers';
import type { AdminConfig, CatalogContext } from '../config.js';
import { settingsOf, toEntry } from '../model-catalog/catalog-route.js';
import { visibleRoutes } from '../model-catalog/visible-routes.js';
import type { StoredTier } from '../model-catalog/prices.js';
import type { KeyRow, ModelRow, TenantRow } from './documents.queries.js';

/** Rows to the documents of the bucket `config`. Pure: the same rows give the same document, but for fresh seals. */

/** Most routes of an alias that a document carries; the admin API refuses more. */
export const ROUTES_MAX = 64;

export function defaultsDocument(
  config: Pick<AdminConfig, 'rateLimits' | 'budgets' | 'reporting'>,
  settings: { budget?: BudgetSetting; rateLimits?: RateLimitsSetting },
): DefaultsDocument {
  const { rateLimits, budgets, reporting } = config;
  return defaultsDocumentSchema.parse({
    v: 1,
    timezone: reporting.timezone,
    limits: settings.rateLimits ?? {
      requestsPerMinute: rateLimits.defaultRequestsPerMinute,
      tokensPerMinute: rateLimits.defaultTokensPerMinute,
      parallelRequestsKey: rateLimits.defaultParallelRequestsKey,
      parallelRequestsTenant: rateLimits.defaultParallelRequestsTenant,
    },
    budget: {
      limitNano: settings.budget?.limitNano ?? nanoUsdFromUsd(budgets.defaultUsd).toString(),
      warningThreshold: settings.budget?.warningThreshold ?? budgets.warningThresholdPerc,
      schedule: settings.budget?.schedule ?? parseBudgetSchedule(budgets.refreshSchedule)!,
      enforcement: settings.budget?.enforcement ?? budgets.enforcement,
    },
  });
}

/**
 * Undefined: the alias has no routes. Secrets that did not change keep the envelope that the previous document has, so
 * that an unchanged route is an unchanged document.
 */
export function modelDocument(row: ModelRow, context: CatalogContext, previous: ModelDocument | undefined): ModelDocument | undefined {
  const routes = visibleRoutes(row.routes).slice(0, ROUTES_MAX);
  if (routes.length === 0) return undefined;
  const before = new Map(previous?.routes.map((route) => [route.id, route]));
  return {
    v: 1,
    alias: row.alias,
    createdUnix: Math.floor(row.createdAt.getTime() / 1000),
    routes: routes.map((route) => routeDocument(route, context, before.get(route.id))),
  };
}

type RouteRow = ModelRow['routes'][number];

function routeDocument(row: RouteRow, context: CatalogContext, previous: RouteDocument | undefined): RouteDocument {
  const { settings, sealed, invalid } = sealSettings(row, context, previous?.sealed ?? {});
  return {
    id: row.id,
    provider: row.provider,
    providerModel: row.providerModel,
    deployment: row.deployment,
    modelType: row.modelType,
    modalities: row.modalities,
    supportsTools: row.supportsTools,
    contextWindow: row.contextWindow,
    maxOutputTokens: row.maxOutputTokens,
    weight: row.weight,
    enabled: row.enabled,
    ...(invalid !== undefined && { invalid }),
    ...(row.priceVersions[0] && { price: priceDocument(row.priceVersions[0]) }),
    settings,
    sealed,
  };
}

/** A broken route (a wrong entry, secrets that do not open any more) is sent without settings: it counts as broken, not as absent. */
function sealSettings(
  row: RouteRow,
  context: CatalogContext,
  previous: Readonly<Record<string, string>>,
): Pick<RouteDocument, 'settings' | 'sealed' | 'invalid'> {
  const plain: Record<string, string> = {};
  const sealed: Record<string, string> = {};
  try {
    const definition = getProvider(row.provider);
    const { settings, problems } = settingsOf(toEntry(row, context.ring), context);
    // What the start found in the file (an entry that could not be read) is known only from then.
    const invalid = problems.length > 0 ? problems.join('; ') : row.source === 'config' ? row.invalidReason : null;
    if (invalid !== null) return { settings: {}, sealed: {}, invalid };
    for (const [name, value] of Object.entries(settings).sort()) {
      if (!isSecretSetting(definition, name)) plain[name] = value;
      else
        sealed[name] =
          reusable(previous[name], value, sealedContext.routeSetting(name, row.id), context.ring) ??
          context.ring.seal(value, sealedContext.routeSetting(name, row.id));
    }
    return { settings: plain, sealed };
  } catch {
    return { settings: {}, sealed: {}, invalid: 'a secret is sealed with a key that is not configured any more' };
  }
}

function reusable(envelope: string | undefined, value: string, place: string, ring: KeyRing): string | undefined {
  if (envelope === undefined || !ring.isCurrent(envelope)) return undefined;
  try {
    return ring.open(envelope, place) === value ? envelope : undefined;
  } catch {
    return undefined;
  }
}

function priceDocument(version: RouteRow['priceVersions'][number]): RouteDocument['price'] {
  const text = (value: { toFixed(): string } | null) => value?.toFixed();
  const tiers = version.tiers as unknown as Record<string, StoredTier[]>;
  return {
    id: version.id,
    input: text(version.priceInput),
    output: text(version.priceOutput),
    cachedInput: text(version.priceCached),
    cacheWrite: text(version.priceCacheWrite),
    reasoning: text(version.priceReasoning),
    imageCents: text(version.priceImageCents),
    ...(Object.keys(tiers).length > 0 && { tiers: tiers as NonNullable<RouteDocument['price']>['tiers'] }),
  };
}

export function tenantDocument(row: TenantRow, defaultModels: readonly string[]): TenantDocument {
  const limits = positive(row.rateLimit ?? {});
  const budget = row.budgetOverride;
  return {
    v: 1,
    id: row.id,
    name: row.name,
    status: row.status,
    ...(limits && { limits }),
    ...(budget && {
      budget: {
        limitNano: budget.budgetNano?.toString(),
        warningThreshold: budget.warningThreshold?.toNumber(),
        schedule: budget.refreshSchedule ?? undefined,
        enforcement: (budget.enforcement as 'estimate' | 'strict' | null) ?? undefined,
      },
    }),
    models: modelsOf(row, defaultModels),
  };
}

function modelsOf(row: TenantRow, defaultModels: readonly string[]): string[] | null {
  if (row.modelsRestricted) return row.models.map((model) => model.aliasKey).sort();
  return row.kind === 'personal' ? [...defaultModels].sort() : null;
}

export function keyDocument(row: KeyRow, nowMs: number): KeyDocument {
  const limits = positive(row);
  const graceEndMs = row.previousValidUntil?.getTime();
  const previous =
    row.previousDigest && graceEndMs !== undefined && graceEndMs > nowMs ? [{ digest: base64(row.previousDigest), validUntilMs: graceEndMs }] : [];
  const threshold = row.quotaWarningThreshold?.toNumber();
  return {
    v: 1,
    id: row.id,
    tenantId: row.tenantId,
    prefix: row.prefix,
    digests: [{ digest: base64(row.secretDigest) }, ...previous],
    revoked: row.revokedAt !== null,
    ...(row.expiresAt && { expiresAtMs: row.expiresAt.getTime() }),
    scopes: row.scopes,
    ...(limits && { limits }),
    ...((row.quotaNano !== null || threshold !== undefined) && { quota: { limitNano: row.quotaNano?.toString(), warningThreshold: threshold } }),
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Limits that are set; 0 and null inherit. */
function positive(limits: { requestsPerMinute?: number | null; tokensPerMinute?: number | null; parallelRequests?: number | null }): KeyDocument['limits'] {
  const set = {
    ...(limits.requestsPerMinute && { requestsPerMinute: limits.requestsPerMinute }),
    ...(limits.tokensPerMinute && { tokensPerMinute: limits.tokensPerMinute }),
    ...(limits.parallelRequests && { parallelRequests: limits.parallelRequests }),
  };
  return Object.keys(set).length > 0 ? set : undefined;
}
