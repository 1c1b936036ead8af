import { Injectable } from '@nestjs/common';
import { AdminError, type keyUsageQuerySchema, type modelDailyQuerySchema, type tenantDailyQuerySchema, type userDailyQuerySchema } from '@omg/contracts';
import type { PrismaTx } from '@omg/database';
import type { Parsed } from '../http/paging.js';
import { requireTenantRole, type Principal } from '../http/principal.js';
import { keyLabels, keysOfUser, tenantLabels, userLabels } from './labels.queries.js';
import { ReportContext } from './report-context.js';
import { rangeBody, type ReportRange } from './report-range.js';
import { dayStarts } from './reports.service.js';
import { addSums, byCost, pointsBody, subtractSums, sumByDay, totalsBody } from './totals.js';
import { sumUsage, type UsageQuery, type UsageSum } from './usage.queries.js';

/** A page of the parts that days are made of; undefined: all of them, for the export. */
export type PartsPage = { limit: number; offset: number } | undefined;

/** Series of one tenant, user, model or key by local day, with what each day is made of. */
@Injectable()
export class DailyService {
  constructor(private readonly context: ReportContext) {}

  async ofTenant(caller: Principal, query: Parsed<typeof tenantDailyQuerySchema>, parts: PartsPage) {
    requireTenantRole(caller, query.tenant_id, 'viewer');
    const range = await this.context.dailyRange(query, '30d');
    return this.context.snapshot(async (tx) => {
      const { days, ids, ...page } = await daysWithParts(tx, { range, by: 'api_key', tenantIds: [query.tenant_id] }, parts);
      const labels = await keyLabels(tx, ids);
      const keys = (row: UsageSum) => ({
        api_key_id: row.id,
        api_key_name: labels.get(row.id)?.name ?? '',
        api_key_prefix: labels.get(row.id)?.prefix ?? '',
        ...totalsBody(row),
      });
      return { tenant_id: query.tenant_id, ...rangeBody(range), days: days.map(({ rows, ...day }) => ({ ...day, keys: rows.map(keys) })), ...page };
    });
  }

  /** Oneself, or anybody for a super admin; anybody else is as unknown as a missing user. */
  async ofUser(caller: Principal, query: Parsed<typeof userDailyQuerySchema>, parts: PartsPage) {
    if (!caller.isSuperAdmin && caller.userId !== query.user_id) throw new AdminError('forbidden');
    const range = await this.context.dailyRange(query, '30d');
    // A token that is bound to a tenant sees its owner's usage there only.
    const tenantIds = caller.isSuperAdmin ? undefined : [...caller.memberships.keys()];
    return this.context.snapshot(async (tx) => {
      if (!(await userLabels(tx, [query.user_id])).has(query.user_id)) throw new AdminError('not_found', { message: 'The user does not exist.' });
      const apiKeyIds = await keysOfUser(tx, query.user_id, tenantIds);
      return { user_id: query.user_id, ...rangeBody(range), ...(await tenantDays(tx, { range, apiKeyIds }, parts)) };
    });
  }

  async ofModel(caller: Principal, query: Parsed<typeof modelDailyQuerySchema>, parts: PartsPage) {
    const tenantIds = this.context.scope(caller, undefined);
    const range = await this.context.dailyRange(query, '30d');
    return this.context.snapshot(async (tx) => ({
      model_alias: query.model_alias,
      ...rangeBody(range),
      ...(await tenantDays(tx, { range, modelAliases: [query.model_alias], tenantIds }, parts)),
    }));
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
}

type DailyQuery = Omit<UsageQuery, 'boundariesMs' | 'range'> & { range: ReportRange };

async function tenantDays(tx: PrismaTx, query: Omit<DailyQuery, 'by'>, parts: PartsPage) {
  const { days, ids, ...page } = await daysWithParts(tx, { ...query, by: 'tenant' }, parts);
  const labels = await tenantLabels(tx, ids);
  const tenant = (row: UsageSum) => ({ tenant_id: row.id, tenant_name: labels.get(row.id)?.name ?? row.id, ...totalsBody(row) });
  return { days: days.map(({ rows, ...day }) => ({ ...day, tenants: rows.map(tenant) })), ...page };
}

/**
 * The days of the range and their parts, the dearest first. A page names the same parts on every day, by what they cost in the
 * whole range, so that their series can be drawn; the others of the day are summed. Nobody reads a thousand tenants a day.
 */
async function daysWithParts(tx: PrismaTx, query: DailyQuery, parts: PartsPage) {
  const { range, by } = query;
  const boundariesMs = dayStarts(range);
  const ranking = parts && (await sumUsage(tx, { ...query, boundariesMs: [range.startMs] })).sort(byCost).map(({ id }) => id);
  const named = ranking?.slice(parts!.offset, parts!.offset + parts!.limit);
  const isAll = named === undefined || named.length === ranking!.length;
  const narrowed = isAll ? query : { ...query, ...(by === 'tenant' ? { tenantIds: named } : { apiKeyIds: named }) };
  const rows = named?.length === 0 ? [] : await sumUsage(tx, { ...narrowed, boundariesMs });
  const totals = isAll ? rows : await sumUsage(tx, { ...query, boundariesMs, by: 'none' });
  const byDay: UsageSum[][] = boundariesMs.map(() => []);
  for (const row of rows) byDay[row.group]!.push(row);
  const all = sumByDay(boundariesMs.length, totals);
  const ids = [...new Set(rows.map(({ id }) => id))];
  return {
    ids,
    days: pointsBody(boundariesMs, range.timezone, totals).map((point, day) => ({
      ...point,
      rows: byDay[day]!.sort(byCost),
      others: totalsBody(subtractSums(all[day]!, addSums(byDay[day]!))),
    })),
    limit: parts?.limit ?? ids.length,
    offset: parts?.offset ?? 0,
    total: ranking?.length ?? ids.length,
  };
}
