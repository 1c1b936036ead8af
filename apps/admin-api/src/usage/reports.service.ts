import { Injectable } from '@nestjs/common';
import {
  AdminError,
  COMPARE_ENTITIES_MAX,
  type BreakdownGroup,
  type usageBreakdownQuerySchema,
  type usageCompareQuerySchema,
  type usageSummaryQuerySchema,
} from '@omg/contracts';
import { isUuid } from '@omg/domain';
import type { PrismaTx } from '@omg/database';
import type { Parsed } from '../http/paging.js';
import { requireSuperAdmin, requireTenantRole, type Principal } from '../http/principal.js';
import { dailyAnomalies, historyRange, judgedDays } from './anomalies.js';
import { entityLabels, keysOfUser, tenantLabels, userLabels } from './labels.queries.js';
import { ReportContext } from './report-context.js';
import { dayPieces, localTime, rangeBody, type ReportRange } from './report-range.js';
import { addSums, byCost, pointsBody, totalsBody } from './totals.js';
import { sumUsage, type UsageQuery, type UsageSum } from './usage.queries.js';

type Scope = Pick<UsageQuery, 'tenantIds' | 'modelAliases' | 'apiKeyIds'>;

/** Sensitivity of the anomalies that comparison series carry; the anomaly report lets its caller choose. */
const COMPARE_SENSITIVITY = 3;

@Injectable()
export class ReportsService {
  constructor(private readonly context: ReportContext) {}

  async summary(caller: Principal, query: Parsed<typeof usageSummaryQuerySchema>) {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const range = await this.context.range(query, '7d');
    const boundariesMs = dayStarts(range);
    const rows = await this.context.snapshot((tx) => sumUsage(tx, { range, boundariesMs, by: 'none', tenantIds }));
    const total = totalsBody(addSums(rows));
    return {
      ...rangeBody(range),
      ...(query.tenant_id && { tenant_id: query.tenant_id }),
      total_requests: total.requests,
      total_tokens: total.tokens,
      total_cost_cents: total.cost_cents,
      total_cost_usd: total.cost_usd,
      total_cost_usd_micros: total.cost_usd_micros,
      total_unpriced_requests: total.unpriced_requests,
      points: pointsBody(boundariesMs, range.timezone, rows),
    };
  }

  /** `limit` undefined: all items, for the export. */
  async breakdown(caller: Principal, query: Parsed<typeof usageBreakdownQuerySchema>, limit: number | undefined) {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const range = await this.context.range(query, '30d');
    return this.context.snapshot(async (tx) => {
      const sums = await sumUsage(tx, { range, boundariesMs: [range.startMs], by: query.group, tenantIds });
      const top = sums.sort(byCost).slice(0, limit);
      const entityId = query.entity_id ?? top[0]?.id;
      const label = await entityLabels(
        tx,
        query.group,
        [...top.map(({ id }) => id), ...(entityId === undefined ? [] : [entityId])].filter((id) => query.group === 'model' || isUuid(id)),
      );
      const items = top.map((sum) => ({ id: sum.id, label: label(sum.id), ...totalsBody(sum) }));
      const series =
        entityId === undefined
          ? null
          : { id: entityId, label: label(entityId), points: await this.entityPoints(tx, query.group, entityId, tenantIds, range), timezone: range.timezone };
      return { group: query.group, ...rangeBody(range), items, series };
    });
  }

  async compare(caller: Principal, query: Parsed<typeof usageCompareQuerySchema>) {
    const { tenant_ids: tenants, model_aliases: models, user_ids: users } = query;
    const count = tenants.length + models.length + users.length;
    if (count < 1 || count > COMPARE_ENTITIES_MAX)
      throw new AdminError('invalid_request', { message: `tenant_ids, model_aliases, user_ids: from 1 to ${COMPARE_ENTITIES_MAX} in all` });
    for (const id of tenants) requireTenantRole(caller, id, 'viewer');
    if (users.length > 0) requireSuperAdmin(caller);
    const scope = this.context.scope(caller, undefined);
    const range = await this.context.range(query, '30d');
    return this.context.snapshot(async (tx) => {
      const [tenantInfo, userInfo] = [await tenantLabels(tx, tenants), await userLabels(tx, users)];
      const missing = [...tenants.filter((id) => !tenantInfo.has(id)), ...users.filter((id) => !userInfo.has(id))];
      if (missing.length > 0) throw new AdminError('not_found', { message: `Unknown: ${missing.join(', ')}` });
      const providers = await providersOf(tx, models);
      const series = [];
      for (const id of tenants) {
        const { name, status, kind } = tenantInfo.get(id)!;
        series.push({
          kind: 'tenant' as const,
          id,
          label: name,
          tenant_id: id,
          tenant_status: status,
          tenant_kind: kind,
          ...(await this.series(tx, range, 'tenant', id, name, { tenantIds: [id] })),
        });
      }
      for (const alias of models) {
        series.push({
          kind: 'model' as const,
          id: alias,
          label: alias,
          ...(providers.has(alias) && { provider: providers.get(alias)! }),
          ...(await this.series(tx, range, 'model', alias, alias, { modelAliases: [alias], tenantIds: scope })),
        });
      }
      for (const id of users) {
        const { email, name } = userInfo.get(id)!;
        const apiKeyIds = await keysOfUser(tx, id, undefined);
        series.push({
          kind: 'user' as const,
          id,
          label: email,
          user_id: id,
          user_email: email,
          user_name: name,
          ...(await this.series(tx, range, 'user', id, email, { apiKeyIds })),
        });
      }
      return { ...rangeBody(range), series };
    });
  }

  private async entityPoints(tx: PrismaTx, group: BreakdownGroup, id: string, tenantIds: string[] | undefined, range: ReportRange) {
    const boundariesMs = dayStarts(range);
    const scope = await this.entityScope(tx, group, id, tenantIds);
    const rows = scope === undefined ? [] : await sumUsage(tx, { range, boundariesMs, by: 'none', ...scope });
    return pointsBody(boundariesMs, range.timezone, rows);
  }

  /** Undefined when the caller may not see the entity: his series is empty, like that of one that does not exist. */
  private async entityScope(tx: PrismaTx, group: BreakdownGroup, id: string, tenantIds: string[] | undefined): Promise<Scope | undefined> {
    if (group === 'model') return { modelAliases: [id], tenantIds };
    if (!isUuid(id)) throw new AdminError('invalid_id', { message: 'entity_id: must be a UUID' });
    if (group === 'tenant') return tenantIds === undefined || tenantIds.includes(id) ? { tenantIds: [id] } : undefined;
    if (group === 'user') return { apiKeyIds: await keysOfUser(tx, id, tenantIds) };
    return { apiKeyIds: [id], tenantIds };
  }

  /** One read gives the history as well: whole days, of which the range's first may be cut in two. */
  private async series(tx: PrismaTx, range: ReportRange, kind: 'tenant' | 'model' | 'user', id: string, label: string, scope: Scope) {
    const wide = historyRange(range);
    const wideStarts = dayStarts(wide);
    const starts = dayStarts(range);
    const firstDay = wideStarts.length - starts.length;
    const isCut = starts[0]! < range.startMs;
    const boundariesMs = isCut ? [...wideStarts.slice(0, firstDay + 1), range.startMs, ...wideStarts.slice(firstDay + 1)] : wideStarts;
    const rows = await sumUsage(tx, { range: wide, boundariesMs, by: 'none', ...scope });
    const dayOf = (row: UsageSum): number => (isCut && row.group > firstDay ? row.group - 1 : row.group);
    const inRange = rows.filter(({ group }) => group >= firstDay + (isCut ? 1 : 0)).map((row) => ({ ...row, group: dayOf(row) - firstDay }));
    const active = inRange.filter(({ requests }) => requests > 0).map(({ group }) => starts[group]!);
    const values = new Array<number>(wideStarts.length).fill(0);
    for (const row of rows) values[dayOf(row)]! += Number(row.costNano) / 1e9;
    return {
      totals: totalsBody(addSums(inRange)),
      points: pointsBody(starts, range.timezone, inRange),
      ...(active.length > 0 && { active_start: localTime(active[0]!, range.timezone), active_end: localTime(active.at(-1)!, range.timezone) }),
      anomalies: dailyAnomalies(
        { kind, id, label, values },
        { metric: 'cost', sensitivity: COMPARE_SENSITIVITY, firstDay, days: judgedDays(wide, Date.now()) },
      ),
    };
  }
}

export function dayStarts(range: ReportRange): number[] {
  return dayPieces(range).map(({ dayStartMs }) => dayStartMs);
}

/** The provider of each alias that has exactly one. */
async function providersOf(tx: PrismaTx, aliases: readonly string[]): Promise<Map<string, string>> {
  if (aliases.length === 0) return new Map();
  const rows = await tx.modelRoute.findMany({
    where: { aliasKey: { in: aliases.map((alias) => alias.toLowerCase()) }, tombstone: false },
    select: { aliasKey: true, provider: true },
    distinct: ['aliasKey', 'provider'],
  });
  const found = new Map<string, string>();
  for (const alias of aliases) {
    const providers = rows.filter(({ aliasKey }) => aliasKey === alias.toLowerCase());
    if (providers.length === 1) found.set(alias, providers[0]!.provider);
  }
  return found;
}
