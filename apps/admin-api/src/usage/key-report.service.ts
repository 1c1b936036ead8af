import { Inject, Injectable } from '@nestjs/common';
import { PAGE_LIMIT_MAX, type keyReportQuerySchema } from '@omg/contracts';
import { usdFromNanoUsd, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';
import type { CsvRow } from '../http/csv.js';
import { page, type Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { ADMIN_CONFIG } from '../http/tokens.js';
import { termsOf } from './budget-terms.js';
import { TOTALS_COLUMNS } from './csv-rows.js';
import { ReportContext } from './report-context.js';
import { rangeBody } from './report-range.js';
import { runningSpend } from './running-spend.js';
import { byCost, NO_SUMS, totalsBody, type Sums } from './totals.js';
import { sumUsage } from './usage.queries.js';

const EXPORT_KEYS_MAX = 1_000_000;

interface KeyRow {
  id: string;
  name: string;
  prefix: string;
  tenantId: string;
  tenant: { name: string; kind: string };
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  quotaNano: NanoUsd | null;
}

/** Usage by API key: those with usage first, the dearest on top, then those without. */
@Injectable()
export class KeyReportService {
  constructor(
    private readonly context: ReportContext,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets'>,
  ) {}

  async list(caller: Principal, query: Parsed<typeof keyReportQuerySchema>) {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const range = await this.context.range(query, '30d');
    return this.context.snapshot(async (tx) => {
      const where = tenantIds === undefined ? {} : { tenantId: { in: tenantIds } };
      const sums = (await sumUsage(tx, { range, boundariesMs: [range.startMs], by: 'api_key', tenantIds })).sort(byCost);
      const used = new Map<string, Sums>(sums.map((sum) => [sum.id, sum]));
      const ids = sums.slice(query.offset, query.offset + query.limit).map(({ id }) => id);
      const missing = query.limit - ids.length;
      if (missing > 0) ids.push(...(await unusedKeys(tx, tenantIds, [...used.keys()], missing, Math.max(0, query.offset - sums.length))));
      const rows = await tx.apiKey.findMany({ where: { id: { in: ids } }, include: { tenant: true } });
      const byId = new Map<string, KeyRow>(rows.map((row) => [row.id, row]));
      const spent = await this.spentInWindow(tx, rows);
      const items = ids.flatMap((id) => {
        const row = byId.get(id);
        return row ? [keyItem(row, used.get(id) ?? NO_SUMS, spent.get(id) ?? 0n)] : [];
      });
      return { ...rangeBody(range), ...page(query, await tx.apiKey.count({ where }), { items }) };
    });
  }

  /** What each key has spent in the window of its tenant's budget that is running now. */
  private async spentInWindow(tx: PrismaTx, rows: readonly KeyRow[]): Promise<Map<string, NanoUsd>> {
    const terms = await termsOf(tx, this.config, [...new Set(rows.map(({ tenantId }) => tenantId))]);
    return runningSpend(
      tx,
      rows.map(({ id, tenantId }) => ({ tenantId, apiKeyId: id })),
      terms,
      this.context.timezone,
    );
  }
}

async function unusedKeys(tx: PrismaTx, tenantIds: readonly string[] | undefined, used: readonly string[], limit: number, offset: number): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM api_keys WHERE (${tenantIds === undefined} OR tenant_id = ANY(${tenantIds === undefined ? [] : [...tenantIds]}::uuid[]))
    AND id <> ALL(${[...used]}::uuid[]) ORDER BY created_at DESC, id DESC LIMIT ${limit} OFFSET ${offset}`;
  return rows.map(({ id }) => id);
}

function keyItem(row: KeyRow, sums: Sums, spentNano: NanoUsd) {
  return {
    api_key_id: row.id,
    name: row.name,
    prefix: row.prefix,
    tenant_id: row.tenantId,
    tenant_name: row.tenant.kind === 'personal' ? 'Personal' : row.tenant.name,
    revoked: row.revokedAt !== null,
    ...(row.lastUsedAt && { last_used_at: row.lastUsedAt.toISOString() }),
    ...totalsBody(sums),
    ...(row.quotaNano !== null && { budget_usd: Number(usdFromNanoUsd(row.quotaNano)) }),
    budget_used_usd: Number(usdFromNanoUsd(spentNano)),
  };
}

export const KEY_COLUMNS = [
  'api_key_id',
  'name',
  'prefix',
  'tenant_id',
  'tenant_name',
  'revoked',
  'last_used_at',
  ...TOTALS_COLUMNS,
  'budget_usd',
  'budget_used_usd',
] as const;

/** All keys, page by page. */
export async function* keyRows(report: KeyReportService, caller: Principal, query: Parsed<typeof keyReportQuerySchema>): AsyncGenerator<CsvRow> {
  for (let offset = query.offset; offset < EXPORT_KEYS_MAX; offset += PAGE_LIMIT_MAX) {
    const { items } = await report.list(caller, { ...query, limit: PAGE_LIMIT_MAX, offset });
    yield* items;
    if (items.length < PAGE_LIMIT_MAX) return;
  }
}
