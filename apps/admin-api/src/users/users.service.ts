import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type createUserSchema, type listUsersQuerySchema, type resetPasswordSchema } from '@omg/contracts';
import { Prisma, type PrismaClient } from '@omg/database';
import { audit } from '../audit/audit.js';
import { AUTH_SETTINGS, type AuthSettings } from '../auth/auth.settings.js';
import { PasswordHasher } from '../auth/password-hasher.js';
import { revokeFamilies } from '../auth/session.service.js';
import { actorOf } from '../http/actor.js';
import { page, slice, type Parsed } from '../http/paging.js';
import { visibleTenantIds, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { createAccount, setPasswordHash } from './accounts.js';
import { userBody, type UserRow } from './user-body.js';

@Injectable()
export class UsersService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly hasher: PasswordHasher,
    @Inject(AUTH_SETTINGS) private readonly settings: AuthSettings,
  ) {}

  /** A super admin sees everybody; others see who shares an organization with them that they administer. */
  async list(caller: Principal, query: Parsed<typeof listUsersQuerySchema>) {
    const tenantIds = visibleTenantIds(caller, 'admin');
    const where: Prisma.UserWhereInput = {
      ...(tenantIds && { memberships: { some: { tenantId: { in: tenantIds } } } }),
      ...(query.q && { OR: [{ email: { contains: query.q.toLowerCase() } }, { name: { contains: query.q, mode: 'insensitive' } }] }),
    };
    const [users, total] = await this.prisma.$transaction([
      this.prisma.user.findMany({ where, orderBy: [{ email: 'asc' }], ...slice(query) }),
      this.prisma.user.count({ where }),
    ]);
    return page(query, total, { users: users.map(userBody) });
  }

  /** An existing account is answered unchanged; its password is never touched from here. */
  async create(caller: Principal, body: Parsed<typeof createUserSchema>): Promise<{ user: UserRow; created: boolean }> {
    if (body.password !== undefined && !this.settings.localEnabled) throw new AdminError('invalid_request', { message: 'password: local sign-in is off' });
    const existing = await this.prisma.user.findUnique({ where: { email: body.email } });
    if (existing) {
      if (body.password !== undefined) throw new AdminError('account_exists');
      return { user: existing, created: false };
    }
    const passwordHash = body.password === undefined ? undefined : await this.hasher.hash(body.password);
    const user = await this.prisma.$transaction(async (tx) => {
      const made = await createAccount(tx, { email: body.email, name: body.name ?? body.email, passwordHash });
      await audit(tx, {
        actor: actorOf(caller),
        action: 'admin_user.upsert',
        resource: 'user',
        resourceId: made.id,
        metadata: { email: made.email },
        after: { email: made.email, name: made.name },
      });
      return made;
    });
    return { user, created: true };
  }

  /** A user that the caller may not see is as unknown as one that does not exist. */
  async tenantsOf(caller: Principal, userId: string) {
    const tenantIds = visibleTenantIds(caller, 'admin');
    const user = await this.prisma.user.findFirst({
      where: { id: userId, ...(tenantIds && { memberships: { some: { tenantId: { in: tenantIds } } } }) },
      select: {
        memberships: {
          where: { tenant: { kind: 'organization' }, ...(tenantIds && { tenantId: { in: tenantIds } }) },
          include: { tenant: true },
          orderBy: { tenant: { name: 'asc' } },
        },
      },
    });
    if (!user) throw new AdminError('not_found', { message: 'The user does not exist.' });
    const tenants = user.memberships.map(({ tenant, role, createdAt }) => ({
      tenant_id: tenant.id,
      tenant_name: tenant.name,
      role,
      status: tenant.status,
      joined_at: createdAt.toISOString(),
    }));
    return { tenants };
  }

  /**
   * Sets the password and ends all sessions of the user. His admin API tokens, which scripts use, end only when that is asked for:
   * then whoever knew the old password is out altogether.
   */
  async resetPassword(caller: Principal, userId: string, { password, revoke_tokens }: Parsed<typeof resetPasswordSchema>): Promise<void> {
    if (!this.settings.localEnabled) throw new AdminError('invalid_request', { message: 'password: local sign-in is off' });
    const passwordHash = await this.hasher.hash(password);
    await this.prisma.$transaction(async (tx) => {
      const user = await tx.user.findUnique({ where: { id: userId } });
      if (!user) throw new AdminError('not_found', { message: 'The user does not exist.' });
      await setPasswordHash(tx, userId, passwordHash);
      const sessionsEnded = await revokeFamilies(tx, { userId }, 'password_reset');
      const tokens = revoke_tokens ? await tx.adminToken.updateMany({ where: { userId, revokedAt: null }, data: { revokedAt: new Date() } }) : undefined;
      await audit(tx, {
        actor: actorOf(caller),
        action: 'admin_user.password_reset',
        resource: 'user',
        resourceId: userId,
        metadata: { email: user.email, sessions_ended: sessionsEnded, ...(tokens && { machine_access_ended: tokens.count }) },
      });
    });
  }
}
