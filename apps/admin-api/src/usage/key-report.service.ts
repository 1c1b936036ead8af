import { Inject, Injectable } from '@nestjs/common';
import type { keyReportQuerySchema } from '@omg/contracts';
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
import { rangeBody, type ReportRange } from './report-range.js';
import { runningSpend } from './running-spend.js';
import { byCost, NO_SUMS, totalsBody, type Sums } from './totals.js';
import { sumUsage } from './usage.queries.js';

type Query = Parsed<typeof keyReportQuerySchema>;

const EXPORT_PAGE_KEYS = 500;
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

  async list(caller: Principal, query: Query) {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const range = await this.context.range(query, '30d');
    return this.context.snapshot(async (tx) => {
      const used = await usedKeys(tx, range, tenantIds);
      const ids = [...used.keys()].slice(query.offset, query.offset + query.limit);
      const missing = query.limit - ids.length;
      if (missing > 0) ids.push(...(await unusedKeys(tx, tenantIds, [...used.keys()], missing, Math.max(0, query.offset - used.size))));
      const total = await tx.apiKey.count({ where: tenantIds === undefined ? {} : { tenantId: { in: tenantIds } } });
      return { ...rangeBody(range), ...page(query, total, { items: await this.items(tx, ids, used) }) };
    });
  }

  /** All keys, page by page; the usage is summed once. */
  async *csvRows(caller: Principal, query: Query): AsyncGenerator<CsvRow> {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const range = await this.context.range(query, '30d');
    const used = await this.context.snapshot((tx) => usedKeys(tx, range, tenantIds));
    const ids = [...used.keys()];
    for (let at = query.offset; at < ids.length; at += EXPORT_PAGE_KEYS)
      yield* await this.context.snapshot((tx) => this.items(tx, ids.slice(at, at + EXPORT_PAGE_KEYS), used));
    for (let offset = Math.max(0, query.offset - ids.length); offset < EXPORT_KEYS_MAX; offset += EXPORT_PAGE_KEYS) {
      const unused = await this.context.snapshot((tx) => unusedKeys(tx, tenantIds, ids, EXPORT_PAGE_KEYS, offset));
      yield* await this.context.snapshot((tx) => this.items(tx, unused, used));
      if (unused.length < EXPORT_PAGE_KEYS) return;
    }
  }

  /** In the order of the ids; a key that is gone is left out, whatever usage it had. */
  private async items(tx: PrismaTx, ids: readonly string[], used: ReadonlyMap<string, Sums>) {
    const rows = await tx.apiKey.findMany({ where: { id: { in: [...ids] } }, include: { tenant: true } });
    const byId = new Map<string, KeyRow>(rows.map((row) => [row.id, row]));
    const spent = await this.spentInWindow(tx, rows);
    return ids.flatMap((id) => {
      const row = byId.get(id);
      return row ? [keyItem(row, used.get(id) ?? NO_SUMS, spent.get(id) ?? 0n)] : [];
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

/** The dearest first. */
async function usedKeys(tx: PrismaTx, range: ReportRange, tenantIds: string[] | undefined): Promise<Map<string, Sums>> {
  const sums = await sumUsage(tx, { range, boundariesMs: [range.startMs], by: 'api_key', tenantIds });
  return new Map(sums.sort(byCost).map((sum) => [sum.id, sum]));
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
