import { Inject, Injectable } from '@nestjs/common';
import { AdminError, PAGE_LIMIT_MAX, type alertHistoryQuerySchema } from '@omg/contracts';
import type { ConfigOf } from '@omg/service-kit';
import type { Prisma, PrismaClient } from '@omg/database';
import { maskUrl } from '@omg/domain';
import { withoutSecrets } from '../audit/redact.js';
import type { CsvRow } from '../http/csv.js';
import { page, slice, type Parsed } from '../http/paging.js';
import { requireTenantRole, visibleTenantIds, type Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';

type Query = Parsed<typeof alertHistoryQuerySchema>;

const EXPORT_ALERTS_MAX = 100_000;
export const ALERT_COLUMNS = ['created_at', 'id', 'tenant_id', 'tenant_name', 'level', 'emails', 'webhooks', 'success', 'error'] as const;

/** What alerts were sent, to whom, and whether they arrived. Addresses of webhooks may carry credentials: they are masked. */
@Injectable()
export class AlertHistoryService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'reporting'>,
  ) {}

  async list(caller: Principal, query: Query) {
    const where = this.where(caller, query);
    const [rows, total] = await this.prisma.$transaction([
      this.prisma.budgetAlertEvent.findMany({ where, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], ...slice(query) }),
      this.prisma.budgetAlertEvent.count({ where }),
    ]);
    const tenants = await this.prisma.tenant.findMany({ where: { id: { in: [...new Set(rows.map(({ tenantId }) => tenantId))] } } });
    const names = new Map(tenants.map((tenant) => [tenant.id, tenant.kind === 'personal' ? 'Personal' : tenant.name]));
    const alerts = rows.map((row) => ({
      id: row.id,
      tenant_id: row.tenantId,
      tenant_name: names.get(row.tenantId) ?? row.tenantId,
      level: row.level,
      channels: channelsBody(row.channels),
      payload: withoutSecrets(row.payload) as Record<string, unknown>,
      success: row.success,
      error: row.error,
      created_at: row.createdAt.toISOString(),
    }));
    return page(query, total, { alerts, timezone: this.config.reporting.timezone });
  }

  /** Page by page; alerts that arrive meanwhile are left out, as they would shift the pages. */
  async *csvRows(caller: Principal, asked: Query): AsyncGenerator<CsvRow> {
    const query = { ...asked, end: asked.end ?? new Date().toISOString() };
    for (let offset = query.offset; offset < EXPORT_ALERTS_MAX; offset += PAGE_LIMIT_MAX) {
      const { alerts } = await this.list(caller, { ...query, limit: PAGE_LIMIT_MAX, offset });
      for (const { channels, payload: _payload, ...alert } of alerts)
        yield { ...alert, emails: channels.emails.join(' '), webhooks: channels.webhooks.join(' ') };
      if (alerts.length < PAGE_LIMIT_MAX) return;
    }
  }

  private where(caller: Principal, query: Query): Prisma.BudgetAlertEventWhereInput {
    const { start, end } = query;
    if (start !== undefined && end !== undefined && new Date(end) <= new Date(start))
      throw new AdminError('invalid_request', { message: 'end: must be after start' });
    if (query.tenant_id !== undefined) requireTenantRole(caller, query.tenant_id, 'viewer');
    const tenantIds = query.tenant_id === undefined ? visibleTenantIds(caller, 'viewer') : [query.tenant_id];
    return {
      ...(tenantIds && { tenantId: { in: tenantIds } }),
      level: query.level,
      success: query.success,
      ...((start ?? end) && { createdAt: { ...(start && { gte: new Date(start) }), ...(end && { lt: new Date(end) }) } }),
    };
  }
}

function channelsBody(channels: unknown): { emails: string[]; webhooks: string[] } {
  const { emails, webhooks } = (channels ?? {}) as { emails?: unknown; webhooks?: unknown };
  const texts = (list: unknown): string[] => (Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : []);
  return { emails: texts(emails), webhooks: texts(webhooks).map(maskUrl) };
}
