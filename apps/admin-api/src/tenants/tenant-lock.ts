import { AdminError } from '@omg/contracts';
import type { PrismaTx } from '@omg/database';
import { requireVersion } from '../http/if-match.js';
import { hasTenantRole, requireSuperAdmin, type Principal } from '../http/principal.js';

export interface LockedTenant {
  id: string;
  name: string;
  kind: 'organization' | 'personal';
  status: 'active' | 'suspended';
  suspendedBySuperAdmin: boolean;
  modelsRestricted: boolean;
  version: number;
}

/** Locks a tenant for the rest of the transaction: all changes of a tenant take turns, so none is lost. */
export async function lockTenant(tx: PrismaTx, tenantId: string, ifMatch?: string): Promise<LockedTenant> {
  const [row] = await tx.$queryRaw<LockedTenant[]>`
    SELECT id::text, name, kind::text AS kind, status::text AS status, suspended_by_super_admin AS "suspendedBySuperAdmin",
      models_restricted AS "modelsRestricted", version
    FROM tenants WHERE id = ${tenantId}::uuid FOR UPDATE`;
  if (!row) throw new AdminError('not_found', { message: 'The tenant does not exist.' });
  requireVersion(ifMatch, row.version);
  return row;
}

/** Budget, limits and models: owners of organizations, and super admins for every tenant. */
export function requireGovernor(caller: Principal, tenant: LockedTenant): void {
  if (tenant.kind === 'personal') requireSuperAdmin(caller);
  else if (!hasTenantRole(caller, tenant.id, 'owner')) throw new AdminError('forbidden');
}

export async function bumpTenant(tx: PrismaTx, tenantId: string): Promise<void> {
  await tx.tenant.update({ where: { id: tenantId }, data: { version: { increment: 1 } } });
}
