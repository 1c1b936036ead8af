import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type upsertMembershipSchema } from '@omg/contracts';
import type { Role } from '@omg/domain';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { AUTH_SETTINGS, type AuthSettings } from '../auth/auth.settings.js';
import { PasswordHasher } from '../auth/password-hasher.js';
import { actorOf } from '../http/actor.js';
import { requireVersion } from '../http/if-match.js';
import type { Parsed } from '../http/paging.js';
import { requireRankOver, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { createAccount } from '../users/accounts.js';

interface MembershipRow {
  tenantId: string;
  userId: string;
  role: Role;
  createdAt: Date;
  version: number;
  user: { email: string };
}

/** Who belongs to an organization. The tenant's row is locked around each change, so that two changes cannot both remove "the other" last owner. */
@Injectable()
export class MembershipsService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly hasher: PasswordHasher,
    @Inject(AUTH_SETTINGS) private readonly settings: AuthSettings,
  ) {}

  async list(tenantId: string) {
    const rows = await this.prisma.membership.findMany({ where: { tenantId }, include: { user: true }, orderBy: { user: { email: 'asc' } }, take: 10_000 });
    return { memberships: rows.map(membershipBody) };
  }

  /** Adds a member (version 0 until then) or changes his role. An unknown mail makes the account; the password of a known one is never changed. */
  async upsert(caller: Principal, tenantId: string, body: Parsed<typeof upsertMembershipSchema>, ifMatch: string | undefined) {
    if (body.password !== undefined && !this.settings.localEnabled) throw new AdminError('invalid_request', { message: 'password: local sign-in is off' });
    const passwordHash = body.password === undefined ? undefined : await this.hasher.hash(body.password);
    return this.prisma.$transaction(async (tx) => {
      await lockOrganization(tx, tenantId);
      const known = await tx.user.findUnique({ where: { email: body.email } });
      if (known && body.password !== undefined) throw new AdminError('account_exists');
      const user = known ?? (await createAccount(tx, { email: body.email, name: body.email, passwordHash, chosenByOwner: !caller.isSuperAdmin }));
      const before = await tx.membership.findUnique({ where: { tenantId_userId: { tenantId, userId: user.id } } });
      requireRankOver(caller, tenantId, before?.role, body.role);
      requireVersion(ifMatch, before?.version ?? 0);
      if (before?.role === 'owner' && body.role !== 'owner') await requireAnotherOwner(tx, tenantId, user.id);
      const row = await tx.membership.upsert({
        where: { tenantId_userId: { tenantId, userId: user.id } },
        create: { tenantId, userId: user.id, role: body.role },
        update: { role: body.role, version: { increment: 1 } },
        include: { user: true },
      });
      await audit(tx, {
        actor: actorOf(caller),
        action: 'membership.upsert',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        metadata: { user_id: user.id, email: user.email, role: body.role },
        before: before && { role: before.role },
        after: { role: body.role },
      });
      return membershipBody(row);
    });
  }

  async remove(caller: Principal, tenantId: string, userId: string, ifMatch: string | undefined): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      await lockOrganization(tx, tenantId);
      const row = await tx.membership.findUnique({ where: { tenantId_userId: { tenantId, userId } }, include: { user: true } });
      if (!row) throw new AdminError('not_found', { message: 'The user is no member of this tenant.' });
      requireRankOver(caller, tenantId, row.role);
      requireVersion(ifMatch, row.version);
      if (row.role === 'owner') await requireAnotherOwner(tx, tenantId, userId);
      await tx.membership.delete({ where: { tenantId_userId: { tenantId, userId } } });
      await audit(tx, {
        actor: actorOf(caller),
        action: 'membership.remove',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        metadata: { user_id: userId, email: row.user.email },
        before: { role: row.role },
      });
    });
  }
}

async function lockOrganization(tx: PrismaTx, tenantId: string): Promise<void> {
  const [tenant] = await tx.$queryRaw<{ kind: string }[]>`SELECT kind::text AS kind FROM tenants WHERE id = ${tenantId}::uuid FOR UPDATE`;
  if (!tenant) throw new AdminError('not_found', { message: 'The tenant does not exist.' });
  if (tenant.kind === 'personal') throw new AdminError('personal_tenant');
}

async function requireAnotherOwner(tx: PrismaTx, tenantId: string, userId: string): Promise<void> {
  const others = await tx.membership.count({ where: { tenantId, role: 'owner', userId: { not: userId } } });
  if (others === 0) throw new AdminError('last_owner');
}

function membershipBody(row: MembershipRow) {
  return { tenant_id: row.tenantId, user_id: row.userId, email: row.user.email, role: row.role, created_at: row.createdAt.toISOString(), version: row.version };
}
