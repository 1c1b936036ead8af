import { AdminError } from '@omg/contracts';
import type { PrismaTx } from '@omg/database';
import { databaseNow } from '../database-now.js';
import type { CatalogRow } from './catalog-body.js';
import { visibleRoutes } from './visible-routes.js';

const ROWS_MAX = 10_000;

/** Locks an alias for the rest of the transaction. False: there is none. */
export async function lockAlias(tx: PrismaTx, key: string): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`SELECT 1 FROM model_aliases WHERE key = ${key} FOR UPDATE`;
  return rows.length > 0;
}

/** All rows, hidden ones too, of one alias or of all. */
export async function readRoutes(tx: PrismaTx, aliasKey?: string): Promise<CatalogRow[]> {
  const now = await databaseNow(tx);
  return tx.modelRoute.findMany({
    where: aliasKey === undefined ? {} : { aliasKey },
    include: { alias: true, priceVersions: { where: { validFrom: { lte: now } }, orderBy: [{ validFrom: 'desc' }, { createdAt: 'desc' }], take: 1 } },
    orderBy: [{ aliasKey: 'asc' }, { createdAt: 'asc' }, { id: 'asc' }],
    take: ROWS_MAX,
  });
}

/** What counts, grouped by alias. */
export function visibleByAlias(rows: readonly CatalogRow[]): Map<string, CatalogRow[]> {
  const byAlias = new Map<string, CatalogRow[]>();
  for (const row of rows) {
    const list = byAlias.get(row.aliasKey);
    if (list) list.push(row);
    else byAlias.set(row.aliasKey, [row]);
  }
  return new Map([...byAlias].map(([key, list]) => [key, visibleRoutes(list)]));
}

/** The visible routes of an alias; 404 when it has none. With an id only that one. */
export async function requireRoutes(tx: PrismaTx, alias: string, id?: string): Promise<CatalogRow[]> {
  const visible = visibleRoutes(await readRoutes(tx, alias.toLowerCase()));
  const found = id === undefined ? visible : visible.filter((row) => row.id === id);
  if (found.length === 0) throw new AdminError('not_found', { message: id === undefined ? 'The model does not exist.' : 'The route does not exist.' });
  return found;
}

export interface KnownModel {
  key: string;
  alias: string;
  /** At least one of its routes is switched on. */
  enabled: boolean;
}

/** Aliases with a route that counts; what a tombstone hides does not exist. Without keys: all. */
export async function knownModels(tx: PrismaTx, keys?: readonly string[]): Promise<KnownModel[]> {
  const rows = await tx.modelAlias.findMany({
    where: keys ? { key: { in: [...keys] } } : {},
    select: { key: true, alias: true, routes: { select: { source: true, identity: true, tombstone: true, enabled: true } } },
    orderBy: { key: 'asc' },
    take: ROWS_MAX,
  });
  return rows.flatMap(({ key, alias, routes }) => {
    const visible = visibleRoutes(routes);
    return visible.length === 0 ? [] : [{ key, alias, enabled: visible.some((route) => route.enabled) }];
  });
}
