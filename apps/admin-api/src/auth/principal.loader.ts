import { Inject, Injectable } from '@nestjs/common';
import { roleRank, type Role } from '@omg/domain';
import type { PrismaClient } from '@omg/database';
import type { Principal, PrincipalMembership } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { tokenHash } from './token.service.js';

const withMemberships = { memberships: { select: { tenantId: true, role: true, tenant: { select: { kind: true } } } } } as const;
/** The last use of a token is written at most this often. */
const LAST_USE_STEP_MS = 60_000;

interface LoadedUser {
  id: string;
  email: string;
  name: string;
  isSuperAdmin: boolean;
  memberships: { tenantId: string; role: Role; tenant: { kind: 'organization' | 'personal' } }[];
}

/** Loads who is calling from the database, at every call: a lost role or an ended session counts at once. */
@Injectable()
export class PrincipalLoader {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  /** Undefined when the user is gone or the session has ended. */
  async ofSession(userId: string, familyId: string): Promise<Principal | undefined> {
    const user = await this.prisma.user.findFirst({
      where: { id: userId, refreshFamilies: { some: { id: familyId, revokedAt: null } } },
      include: withMemberships,
    });
    return user ? { ...identity(user), isSuperAdmin: user.isSuperAdmin, memberships: membershipMap(user), via: 'session', sessionId: familyId } : undefined;
  }

  /** By its text, or by its id. Undefined for an unknown, revoked or expired admin token. Its rights never pass those that its owner has now. */
  async ofAdminToken(token: string | { id: string }): Promise<Principal | undefined> {
    const where = typeof token === 'string' ? { tokenHash: tokenHash(token) } : token;
    const row = await this.prisma.adminToken.findUnique({ where, include: { user: { include: withMemberships } } });
    const now = new Date();
    if (!row || row.revokedAt || (row.expiresAt && row.expiresAt <= now)) return undefined;
    if (!row.lastUsedAt || now.getTime() - row.lastUsedAt.getTime() > LAST_USE_STEP_MS) {
      await this.prisma.adminToken.updateMany({ where: { id: row.id }, data: { lastUsedAt: now } });
    }
    const memberships = narrowed(membershipMap(row.user), row);
    if (row.user.isSuperAdmin && row.tenantId) await this.addBoundTenant(memberships, row.tenantId, row.role ?? 'owner');
    const isSuperAdmin = row.user.isSuperAdmin && row.tenantId === null && row.role === null;
    return { ...identity(row.user), isSuperAdmin, memberships, via: 'token', tokenId: row.id };
  }

  /** A super admin needs no membership to bind a token to a tenant. */
  private async addBoundTenant(memberships: Map<string, PrincipalMembership>, tenantId: string, role: Role): Promise<void> {
    const tenant = await this.prisma.tenant.findUnique({ where: { id: tenantId }, select: { kind: true } });
    if (tenant) memberships.set(tenantId, { role, kind: tenant.kind });
  }
}

function identity(user: LoadedUser): Pick<Principal, 'userId' | 'email' | 'name'> {
  return { userId: user.id, email: user.email, name: user.name };
}

function membershipMap(user: LoadedUser): Map<string, PrincipalMembership> {
  return new Map(user.memberships.map(({ tenantId, role, tenant }) => [tenantId, { role, kind: tenant.kind }]));
}

function narrowed(all: Map<string, PrincipalMembership>, token: { tenantId: string | null; role: Role | null }): Map<string, PrincipalMembership> {
  const kept = new Map<string, PrincipalMembership>();
  for (const [tenantId, membership] of all) {
    if (token.tenantId !== null && token.tenantId !== tenantId) continue;
    const role = token.role !== null && roleRank(token.role) < roleRank(membership.role) ? token.role : membership.role;
    kept.set(tenantId, { ...membership, role });
  }
  return kept;
}
