import type { BreakdownGroup } from '@omg/contracts';
import type { PrismaTx } from '@omg/database';

/** What people call the things that reports are about. Ids without a row, such as deleted ones, stand for themselves. */
export interface TenantLabel {
  name: string;
  status: string;
  kind: string;
}

export async function tenantLabels(tx: PrismaTx, ids: readonly string[]): Promise<Map<string, TenantLabel>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.$queryRaw<(TenantLabel & { id: string })[]>`
    SELECT id::text, CASE WHEN kind = 'personal' THEN 'Personal' ELSE name END AS name, status::text AS status, kind::text AS kind FROM tenants WHERE id = ANY(${[...ids]}::uuid[])`;
  return new Map(rows.map((row) => [row.id, row]));
}

export interface KeyLabel {
  name: string;
  prefix: string;
}

export async function keyLabels(tx: PrismaTx, ids: readonly string[]): Promise<Map<string, KeyLabel>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.$queryRaw<(KeyLabel & { id: string })[]>`SELECT id::text, name, prefix FROM api_keys WHERE id = ANY(${[...ids]}::uuid[])`;
  return new Map(rows.map((row) => [row.id, row]));
}

export interface UserLabel {
  email: string;
  name: string;
}

export async function userLabels(tx: PrismaTx, ids: readonly string[]): Promise<Map<string, UserLabel>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.$queryRaw<(UserLabel & { id: string })[]>`SELECT id::text, email, name FROM users WHERE id = ANY(${[...ids]}::uuid[])`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Labels of the entities of one grouping. */
export async function entityLabels(tx: PrismaTx, group: BreakdownGroup, ids: readonly string[]): Promise<(id: string) => string> {
  if (group === 'model') return (id) => id;
  if (group === 'tenant') {
    const labels = await tenantLabels(tx, ids);
    return (id) => labels.get(id)?.name ?? id;
  }
  if (group === 'user') {
    const labels = await userLabels(tx, ids);
    return (id) => labels.get(id)?.email ?? id;
  }
  const labels = await keyLabels(tx, ids);
  return (id) => labels.get(id)?.name ?? id;
}

/** Keys that a user owns, in the tenants named; his usage is theirs. */
export async function keysOfUser(tx: PrismaTx, userId: string, tenantIds: readonly string[] | undefined): Promise<string[]> {
  const keys = await tx.apiKey.findMany({ where: { ownerUserId: userId, ...(tenantIds && { tenantId: { in: [...tenantIds] } }) }, select: { id: true } });
  return keys.map(({ id }) => id);
}
