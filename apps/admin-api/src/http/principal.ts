import { roleAtLeast, roleRank, type Role } from '@omg/domain';
import { AdminError } from '@omg/contracts';

export interface PrincipalMembership {
  role: Role;
  /** Personal tenants never count for "any role": everybody owns one. */
  kind: 'organization' | 'personal';
}

/** Who is calling, loaded from the database for this call. */
export interface Principal {
  userId: string;
  email: string;
  name: string;
  /** False for an admin token that is bound to a tenant or a role, whoever owns it. */
  isSuperAdmin: boolean;
  memberships: ReadonlyMap<string, PrincipalMembership>;
  /** `session`: a signed-in person. `token`: an admin API token. */
  via: 'session' | 'token';
  tokenId?: string;
  /** The login that a signed-in person's access token belongs to. */
  sessionId?: string;
}

export function roleIn(principal: Principal, tenantId: string): Role | undefined {
  return principal.memberships.get(tenantId)?.role;
}

export function hasTenantRole(principal: Principal, tenantId: string, role: Role): boolean {
  if (principal.isSuperAdmin) return true;
  const held = roleIn(principal, tenantId);
  return held !== undefined && roleAtLeast(held, role);
}

/** A membership of at least `role` in some organization. */
export function hasAnyRole(principal: Principal, role: Role): boolean {
  if (principal.isSuperAdmin) return true;
  for (const membership of principal.memberships.values()) {
    if (membership.kind === 'organization' && roleAtLeast(membership.role, role)) return true;
  }
  return false;
}

/** Tenants that a list or report may show; undefined: all of them. */
export function visibleTenantIds(principal: Principal, role: Role): string[] | undefined {
  if (principal.isSuperAdmin) return undefined;
  const ids: string[] = [];
  for (const [tenantId, membership] of principal.memberships) {
    if (membership.kind === 'organization' && roleAtLeast(membership.role, role)) ids.push(tenantId);
  }
  return ids;
}

/** For rules that depend on the body or query: throws 403, the same for a foreign tenant and an unknown one. */
export function requireTenantRole(principal: Principal, tenantId: string, role: Role): void {
  if (!hasTenantRole(principal, tenantId, role)) throw new AdminError('forbidden');
}

export function requireSuperAdmin(principal: Principal): void {
  if (!principal.isSuperAdmin) throw new AdminError('forbidden');
}

/**
 * Nobody grants, changes or removes a role above his own; only owners touch owners.
 * `roles` are the role held so far, if any, and the one to be granted, if any.
 */
export function requireRankOver(principal: Principal, tenantId: string, ...roles: (Role | undefined)[]): void {
  if (principal.isSuperAdmin) return;
  const own = roleIn(principal, tenantId);
  if (own === undefined) throw new AdminError('forbidden');
  for (const role of roles) if (role !== undefined && roleRank(role) > roleRank(own)) throw new AdminError('forbidden');
}
