import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type AdminTokenBody, type createAdminTokenSchema, type listAdminTokensQuerySchema } from '@omg/contracts';
import { roleAtLeast, type Role } from '@omg/domain';
import type { Prisma, PrismaClient } from '@omg/database';
import { randomBytes } from 'node:crypto';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import { page, slice, type Parsed } from '../http/paging.js';
import { roleIn, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { ADMIN_TOKEN_PREFIX } from './strategies.js';
import { tokenHash } from './token.service.js';

const DEFAULT_DAYS = 90;
const DAY_MS = 86_400_000;
/** Open tokens of one user. */
const TOKENS_MAX = 100;

interface TokenRow {
  id: string;
  userId: string;
  name: string;
  lastFour: string;
  tenantId: string | null;
  role: Role | null;
  expiresAt: Date | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  createdAt: Date;
  user: { email: string };
}

/** Machine access: a token that acts for its owner, at most with his rights, shown once and stored as a hash. */
@Injectable()
export class AdminTokensService {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  /** Own tokens; a super admin sees everybody's, or those of `user_id`. */
  async list(caller: Principal, query: Parsed<typeof listAdminTokensQuerySchema>) {
    const userId = caller.isSuperAdmin ? query.user_id : caller.userId;
    const where: Prisma.AdminTokenWhereInput = userId === undefined ? {} : { userId };
    const [rows, total] = await this.prisma.$transaction([
      this.prisma.adminToken.findMany({ where, include: { user: true }, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], ...slice(query) }),
      this.prisma.adminToken.count({ where }),
    ]);
    return page(query, total, { admin_tokens: rows.map(tokenBody) });
  }

  async create(caller: Principal, body: Parsed<typeof createAdminTokenSchema>): Promise<{ admin_token: AdminTokenBody; token: string }> {
    // A token that could make tokens would outlive its own expiry.
    if (caller.via === 'token') throw new AdminError('forbidden', { message: 'Admin tokens are made by people.' });
    const tenantId = body.tenant_id ?? null;
    const role = body.role ?? null;
    await this.requireGrantable(caller, tenantId, role);
    const token = ADMIN_TOKEN_PREFIX + randomBytes(32).toString('base64url');
    const row = await this.prisma.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM users WHERE id = ${caller.userId}::uuid FOR UPDATE`;
      const open = await tx.adminToken.count({ where: { userId: caller.userId, revokedAt: null, expiresAt: { gt: new Date() } } });
      if (open >= TOKENS_MAX) throw new AdminError('conflict', { message: `At most ${TOKENS_MAX} open admin tokens per user.` });
      const made = await tx.adminToken.create({
        data: {
          id: newId(),
          userId: caller.userId,
          name: body.name,
          tokenHash: tokenHash(token),
          lastFour: token.slice(-4),
          tenantId,
          role,
          expiresAt: new Date(Date.now() + (body.expires_in_days ?? DEFAULT_DAYS) * DAY_MS),
        },
        include: { user: true },
      });
      await audit(tx, {
        actor: actorOf(caller),
        action: 'admin_token.create',
        resource: 'admin_token',
        resourceId: made.id,
        ...(tenantId && { tenantId }),
        after: { name: made.name, tenant_id: tenantId, role, expires_at: made.expiresAt },
      });
      return made;
    });
    return { admin_token: tokenBody(row), token };
  }

  /** Own tokens, any for a super admin; others are as unknown as missing ones. The second call changes nothing. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      const row = await tx.adminToken.findFirst({ where: { id, ...(!caller.isSuperAdmin && { userId: caller.userId }) } });
      if (!row) throw new AdminError('not_found', { message: 'The admin token does not exist.' });
      const { count } = await tx.adminToken.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: new Date() } });
      if (count === 0) return;
      await audit(tx, {
        actor: actorOf(caller),
        action: 'admin_token.revoke',
        resource: 'admin_token',
        resourceId: id,
        ...(row.tenantId && { tenantId: row.tenantId }),
        metadata: { name: row.name, user_id: row.userId },
      });
    });
  }

  private async requireGrantable(caller: Principal, tenantId: string | null, role: Role | null): Promise<void> {
    if (caller.isSuperAdmin) {
      if (tenantId === null || (await this.prisma.tenant.findUnique({ where: { id: tenantId } }))) return;
      throw new AdminError('not_found', { message: 'The tenant does not exist.' });
    }
    if (tenantId === null) return;
    const own = roleIn(caller, tenantId);
    if (own === undefined || (role !== null && !roleAtLeast(own, role))) throw new AdminError('forbidden');
  }
}

function tokenBody(row: TokenRow): AdminTokenBody {
  return {
    id: row.id,
    user_id: row.userId,
    user_email: row.user.email,
    name: row.name,
    last_four: row.lastFour,
    tenant_id: row.tenantId,
    role: row.role,
    expires_at: row.expiresAt?.toISOString() ?? null,
    revoked_at: row.revokedAt?.toISOString() ?? null,
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    created_at: row.createdAt.toISOString(),
  };
}
