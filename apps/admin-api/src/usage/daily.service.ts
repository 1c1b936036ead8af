import { Injectable } from '@nestjs/common';
import { AdminError, type keyUsageQuerySchema, type modelDailyQuerySchema, type tenantDailyQuerySchema, type userDailyQuerySchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { requireTenantRole, type Principal } from '../http/principal.js';
import { keyLabels, keysOfUser, tenantLabels, userLabels } from './labels.queries.js';
import { ReportContext } from './report-context.js';
import { rangeBody } from './report-range.js';
import { dayStarts } from './reports.service.js';
import { addSums, byCost, pointsBody, totalsBody } from './totals.js';
import { sumUsage, type UsageSum } from './usage.queries.js';

/** Series of one tenant, user, model or key by local day, with what each day is made of. */
@Injectable()
export class DailyService {
  constructor(private readonly context: ReportContext) {}

  async ofTenant(caller: Principal, query: Parsed<typeof tenantDailyQuerySchema>) {
    requireTenantRole(caller, query.tenant_id, 'viewer');
    const range = await this.context.dailyRange(query, '30d');
    const boundariesMs = dayStarts(range);
    return this.context.snapshot(async (tx) => {
      const rows = await sumUsage(tx, { range, boundariesMs, by: 'api_key', tenantIds: [query.tenant_id] });
      const labels = await keyLabels(tx, [...new Set(rows.map(({ id }) => id))]);
      const keys = (row: UsageSum) => ({
        api_key_id: row.id,
        api_key_name: labels.get(row.id)?.name ?? '',
        api_key_prefix: labels.get(row.id)?.prefix ?? '',
        ...totalsBody(row),
      });
      const byDay = groupByDay(rows, boundariesMs.length);
      const days = pointsBody(boundariesMs, range.timezone, rows).map((point, day) => ({ ...point, keys: byDay[day]!.sort(byCost).map(keys) }));
      return { tenant_id: query.tenant_id, ...rangeBody(range), days };
    });
  }

  /** Oneself, or anybody for a super admin; anybody else is as unknown as a missing user. */
  async ofUser(caller: Principal, query: Parsed<typeof userDailyQuerySchema>) {
    if (!caller.isSuperAdmin && caller.userId !== query.user_id) throw new AdminError('forbidden');
    const range = await this.context.dailyRange(query, '30d');
    const boundariesMs = dayStarts(range);
    // A token that is bound to a tenant sees its owner's usage there only.
    const tenantIds = caller.isSuperAdmin ? undefined : [...caller.memberships.keys()];
    return this.context.snapshot(async (tx) => {
      if (!(await userLabels(tx, [query.user_id])).has(query.user_id)) throw new AdminError('not_found', { message: 'The user does not exist.' });
      const apiKeyIds = await keysOfUser(tx, query.user_id, tenantIds);
      const rows = await sumUsage(tx, { range, boundariesMs, by: 'tenant', apiKeyIds });
      return { user_id: query.user_id, ...rangeBody(range), days: await this.tenantDays(tx, rows, boundariesMs, range.timezone) };
    });
  }

  async ofModel(caller: Principal, query: Parsed<typeof modelDailyQuerySchema>) {
    const tenantIds = this.context.scope(caller, undefined);
    const range = await this.context.dailyRange(query, '30d');
    const boundariesMs = dayStarts(range);
    return this.context.snapshot(async (tx) => {
      const rows = await sumUsage(tx, { range, boundariesMs, by: 'tenant', modelAliases: [query.model_alias], tenantIds });
      return { model_alias: query.model_alias, ...rangeBody(range), days: await this.tenantDays(tx, rows, boundariesMs, range.timezone) };
    });
  }

  async ofKey(tenantId: string, keyId: string, query: Parsed<typeof keyUsageQuerySchema>) {
    const range = await this.context.range(query, '30d');
    const boundariesMs = dayStarts(range);
    return this.context.snapshot(async (tx) => {
      // A key of another tenant is as unknown as one that does not exist.
      const key = await tx.apiKey.findFirst({ where: { id: keyId, tenantId }, select: { id: true } });
      if (!key) throw new AdminError('not_found', { message: 'The API key does not exist.' });
      const rows = await sumUsage(tx, { range, boundariesMs, by: 'none', apiKeyIds: [keyId], tenantIds: [tenantId] });
      return { api_key_id: keyId, ...rangeBody(range), totals: totalsBody(addSums(rows)), series: pointsBody(boundariesMs, range.timezone, rows) };
    });
  }

  private async tenantDays(tx: Parameters<typeof tenantLabels>[0], rows: readonly UsageSum[], boundariesMs: readonly number[], timezone: string) {
    const labels = await tenantLabels(tx, [...new Set(rows.map(({ id }) => id))]);
    const byDay = groupByDay(rows, boundariesMs.length);
    return pointsBody(boundariesMs, timezone, rows).map((point, day) => ({
      ...point,
      tenants: byDay[day]!.sort(byCost).map((row) => ({ tenant_id: row.id, tenant_name: labels.get(row.id)?.name ?? row.id, ...totalsBody(row) })),
    }));
  }
}

function groupByDay(rows: readonly UsageSum[], days: number): UsageSum[][] {
  const byDay: UsageSum[][] = Array.from({ length: days }, () => []);
  for (const row of rows) byDay[row.group]!.push(row);
  return byDay;
}
