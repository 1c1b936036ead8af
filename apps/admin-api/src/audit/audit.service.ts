import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type auditQuerySchema } from '@omg/contracts';
import type { Prisma, PrismaClient } from '@omg/database';
import type { CsvRow } from '../http/csv.js';
import { page, slice, type Parsed } from '../http/paging.js';
import { hasTenantRole, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';

type Query = Parsed<typeof auditQuerySchema>;

const EXPORT_PAGE_ROWS = 1_000;
/** An export ends here: whoever wants more narrows the range. */
const EXPORT_ROWS_MAX = 1_000_000;
export const AUDIT_COLUMNS = ['created_at', 'id', 'user_id', 'user_email', 'tenant_id', 'action', 'resource', 'resource_id', 'metadata'] as const;

@Injectable()
export class AuditService {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  async list(caller: Principal, query: Query) {
    const where = this.where(caller, query);
    const [rows, total] = await this.prisma.$transaction([
      this.prisma.auditLog.findMany({ where, orderBy: { seq: 'desc' }, ...slice(query) }),
      this.prisma.auditLog.count({ where }),
    ]);
    return page(query, total, { logs: rows.map(entry) });
  }

  /** All rows of the filters, page by page from the last one seen: rows that arrive meanwhile shift nothing. */
  async *csvRows(caller: Principal, query: Query): AsyncGenerator<CsvRow> {
    const where = this.where(caller, query);
    let before: bigint | undefined;
    for (let count = 0; count < EXPORT_ROWS_MAX;) {
      const rows = await this.prisma.auditLog.findMany({
        where: { AND: [where, before === undefined ? {} : { seq: { lt: before } }] },
        orderBy: { seq: 'desc' },
        take: EXPORT_PAGE_ROWS,
      });
      for (const row of rows) yield { ...entry(row), metadata: JSON.stringify(row.metadata) };
      count += rows.length;
      if (rows.length < EXPORT_PAGE_ROWS) return;
      before = rows.at(-1)!.seq;
    }
  }

  /** A super admin reads everything, a tenant's admin what concerns the tenant that he names. */
  private where(caller: Principal, query: Query): Prisma.AuditLogWhereInput {
    if (!caller.isSuperAdmin && (query.tenant_id === undefined || !hasTenantRole(caller, query.tenant_id, 'admin'))) throw new AdminError('forbidden');
    const { start, end } = query;
    if (start !== undefined && end !== undefined && new Date(end) <= new Date(start))
      throw new AdminError('invalid_request', { message: 'end: must be after start' });
    return {
      userId: query.user_id,
      action: query.action,
      resource: query.resource,
      resourceId: query.resource_id,
      tenantId: query.tenant_id,
      ...((start ?? end) && { createdAt: { ...(start && { gte: new Date(start) }), ...(end && { lt: new Date(end) }) } }),
    };
  }
}

function entry(row: Prisma.AuditLogGetPayload<object>) {
  return {
    id: row.id,
    ...(row.userId && { user_id: row.userId }),
    ...(row.userEmail && { user_email: row.userEmail }),
    ...(row.tenantId && { tenant_id: row.tenantId }),
    action: row.action,
    resource: row.resource,
    resource_id: row.resourceId,
    metadata: row.metadata as Record<string, unknown>,
    created_at: row.createdAt.toISOString(),
  };
}
