import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type auditQuerySchema } from '@omg/contracts';
import type { Prisma, PrismaClient } from '@omg/database';
import { page, slice, type Parsed } from '../http/paging.js';
import { hasTenantRole, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';

@Injectable()
export class AuditService {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  /** A super admin reads everything, a tenant's admin what concerns the tenant that he names. */
  async list(caller: Principal, query: Parsed<typeof auditQuerySchema>) {
    if (!caller.isSuperAdmin && (query.tenant_id === undefined || !hasTenantRole(caller, query.tenant_id, 'admin'))) throw new AdminError('forbidden');
    const { start, end } = query;
    if (start !== undefined && end !== undefined && new Date(end) <= new Date(start))
      throw new AdminError('invalid_request', { message: 'end: must be after start' });
    const where: Prisma.AuditLogWhereInput = {
      userId: query.user_id,
      action: query.action,
      resource: query.resource,
      resourceId: query.resource_id,
      tenantId: query.tenant_id,
      ...((start ?? end) && { createdAt: { ...(start && { gte: new Date(start) }), ...(end && { lt: new Date(end) }) } }),
    };
    const [rows, total] = await this.prisma.$transaction([
      this.prisma.auditLog.findMany({ where, orderBy: { seq: 'desc' }, ...slice(query) }),
      this.prisma.auditLog.count({ where }),
    ]);
    const logs = rows.map((row) => ({
      id: row.id,
      ...(row.userId && { user_id: row.userId }),
      ...(row.userEmail && { user_email: row.userEmail }),
      ...(row.tenantId && { tenant_id: row.tenantId }),
      action: row.action,
      resource: row.resource,
      resource_id: row.resourceId,
      metadata: row.metadata as Record<string, unknown>,
      created_at: row.createdAt.toISOString(),
    }));
    return page(query, total, { logs });
  }
}
