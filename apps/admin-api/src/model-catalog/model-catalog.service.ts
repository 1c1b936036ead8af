import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import type { CatalogContext } from '../config.js';
import { actorOf } from '../http/actor.js';
import { requireVersion } from '../http/if-match.js';
import type { Principal } from '../http/principal.js';
import { CATALOG_CONTEXT, PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { ROUTES_MAX } from '../projector/documents.js';
import { catalogAudit, catalogBody, openEntry, priceBody, type CatalogRow } from './catalog-body.js';
import { entryFromInput, pricesFromInput, requireProvider, type CatalogInput } from './catalog-input.js';
import { identityOf, toColumns, type RouteEntry } from './catalog-route.js';
import { lockAlias, readRoutes, requireRoutes, visibleByAlias } from './model-catalog.queries.js';
import { insertPrice } from './prices.queries.js';
import { isUnpriced, priceColumns, samePrice } from './prices.js';
import { RouteCheck } from './route-check.js';
import { requireSecretsAgain } from './secret-place.js';
import { visibleRoutes } from './visible-routes.js';

/**
 * Changes of the catalog. Routes from the configuration file are never written: a changed one gets a `db` row of the same
 * identity that replaces it, a removed one a tombstone that hides it. An alias is locked while it changes.
 */
@Injectable()
export class ModelCatalogService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(CATALOG_CONTEXT) private readonly context: CatalogContext,
    private readonly check: RouteCheck,
  ) {}

  async list() {
    return [...visibleByAlias(await readRoutes(this.prisma)).values()].flat().map((row) => catalogBody(row, this.context));
  }

  async upsert(caller: Principal, input: CatalogInput, ifMatch?: string) {
    const definition = requireProvider(input.provider);
    const price = priceColumns(pricesFromInput(input));
    const aliasKey = input.alias.toLowerCase();
    return this.prisma.$transaction(async (tx) => {
      await tx.modelAlias.createMany({ data: [{ key: aliasKey, alias: input.alias }], skipDuplicates: true });
      await lockAlias(tx, aliasKey);
      const rows = await readRoutes(tx, aliasKey);
      const target = targetOf(rows, input);
      requireVersion(ifMatch, target?.version ?? 0);
      const stored = target && openEntry(target, this.context).entry;
      const entry = entryFromInput(input, definition, stored);
      const id = target?.source === 'db' ? target.id : newId();
      this.check.requireUsable(id, entry, definition);
      if (stored) requireSecretsAgain(definition, stored, entry);
      await this.write(tx, rows, target, id, aliasKey, entry);
      await tx.modelAlias.update({ where: { key: aliasKey }, data: { alias: input.alias } });
      await writePrice(tx, id, target, price, input.price_valid_from);
      const saved = (await readRoutes(tx, aliasKey)).find((row) => row.id === id)!;
      const body = catalogBody(saved, this.context);
      const { provider, provider_model, deployment, enabled } = body;
      await audit(tx, {
        actor: actorOf(caller),
        action: 'model_catalog.upsert',
        resource: 'model',
        resourceId: body.alias,
        metadata: { route_id: id, provider, provider_model, deployment, enabled },
        before: target && catalogAudit(catalogBody(target, this.context)),
        after: catalogAudit(body),
      });
      return body;
    });
  }

  private async write(
    tx: PrismaTx,
    rows: readonly CatalogRow[],
    target: CatalogRow | undefined,
    id: string,
    aliasKey: string,
    entry: RouteEntry,
  ): Promise<void> {
    const identity = identityOf(entry);
    const clash = visibleRoutes(rows).find((row) => row.identity === identity && row.id !== target?.id);
    if (clash) throw new AdminError('conflict', { message: 'Another route of this alias is the same provider, model and place.' });
    // A tombstone of that identity would hide nothing any more, and its row is in the way.
    await tx.modelRoute.deleteMany({ where: { aliasKey, identity, source: 'db', tombstone: true } });
    const columns = toColumns(id, entry, this.context);
    if (target?.source === 'db') await tx.modelRoute.update({ where: { id }, data: { ...columns, version: { increment: 1 } } });
    else await tx.modelRoute.create({ data: { id, aliasKey, source: 'db', ...columns, version: (target?.version ?? 0) + 1 } });
    if (target && target.identity !== identity) await hideConfigRow(tx, rows, target);
  }

  /** All routes of the alias, or one. Without routes left, the alias leaves allowlists and default models too. */
  async remove(caller: Principal, alias: string, id?: string, ifMatch?: string): Promise<void> {
    const aliasKey = alias.toLowerCase();
    await this.prisma.$transaction(async (tx) => {
      await lockAlias(tx, aliasKey);
      const gone = await requireRoutes(tx, alias, id);
      requireVersion(ifMatch, gone.length === 1 ? gone[0]!.version : undefined);
      const rows = await readRoutes(tx, aliasKey);
      for (const row of gone) {
        if (row.source === 'db') await tx.modelRoute.delete({ where: { id: row.id } });
        await hideConfigRow(tx, rows, row);
      }
      const left = await readRoutes(tx, aliasKey);
      if (visibleRoutes(left).length === 0) {
        await tx.tenantModel.deleteMany({ where: { aliasKey } });
        await tx.defaultModel.deleteMany({ where: { aliasKey } });
        if (left.length === 0) await tx.modelAlias.delete({ where: { key: aliasKey } });
      }
      await audit(tx, {
        actor: actorOf(caller),
        action: 'model_catalog.remove',
        resource: 'model',
        resourceId: gone[0]!.alias.alias,
        metadata: { routes: gone.map((row) => ({ id: row.id, provider: row.provider, provider_model: row.providerModel, source: row.source })) },
      });
    });
  }

  async priceHistory(alias: string) {
    const rows = await requireRoutes(this.prisma, alias);
    const versions = await this.prisma.priceVersion.findMany({
      where: { routeId: { in: rows.map((row) => row.id) } },
      orderBy: [{ validFrom: 'desc' }, { createdAt: 'desc' }],
      take: 10_000,
    });
    return {
      alias: rows[0]!.alias.alias,
      routes: rows.map((row) => ({
        id: row.id,
        provider: row.provider,
        provider_model: row.providerModel,
        versions: versions
          .filter((version) => version.routeId === row.id)
          .map((version) => ({
            id: version.id,
            ...priceBody(version),
            price_image_cents: version.priceImageCents?.toNumber() ?? null,
            valid_from: version.validFrom.toISOString(),
            created_at: version.createdAt.toISOString(),
            current: version.id === row.priceVersions[0]?.id,
          })),
      })),
    };
  }
}

/** The route that the input means: by id, none for `append`, else the alias's only one. */
function targetOf(rows: readonly CatalogRow[], input: CatalogInput): CatalogRow | undefined {
  const visible = visibleRoutes(rows);
  if (input.id !== undefined) {
    const found = visible.find((row) => row.id === input.id);
    if (!found) throw new AdminError('not_found', { message: 'The route does not exist.' });
    return found;
  }
  const adds = input.append || visible.length === 0;
  if (adds && visible.length >= ROUTES_MAX) throw new AdminError('conflict', { message: `An alias has at most ${ROUTES_MAX} routes.` });
  if (adds) return undefined;
  if (visible.length > 1) throw new AdminError('conflict', { message: 'The alias has several routes: name one by id, or append another.' });
  return visible[0];
}

/** The configuration's row of the same identity would show again: a tombstone hides it. */
async function hideConfigRow(tx: PrismaTx, rows: readonly CatalogRow[], gone: CatalogRow): Promise<void> {
  const hidden = rows.find((row) => row.source === 'config' && row.identity === gone.identity);
  if (!hidden) return;
  const { aliasKey, identity, provider, providerModel, deployment } = hidden;
  await tx.modelRoute.create({ data: { id: newId(), aliasKey, identity, provider, providerModel, deployment, source: 'db', tombstone: true } });
}

/** A price that is the same makes no new version; one that counts later is always written. */
async function writePrice(
  tx: PrismaTx,
  routeId: string,
  target: CatalogRow | undefined,
  price: ReturnType<typeof priceColumns>,
  validFrom: string | undefined,
): Promise<void> {
  const current = target?.id === routeId ? target.priceVersions[0] : undefined;
  if (validFrom === undefined && (current ? samePrice(current, price) : isUnpriced(price))) return;
  await insertPrice(tx, routeId, price, validFrom === undefined ? undefined : new Date(validFrom));
}
