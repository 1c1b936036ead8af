import { costOf, type PriceVersion } from '@omg/domain';
import { nextCostedUsage, readPriceVersions, type CostedUsage, type Transaction } from '@omg/database';

const PAGE_ROWS = 5_000;

export interface CostReport {
  rows: number;
  /** Rows whose price version is gone with its route, and rows booked with a hold because nobody knew the usage. */
  unverifiable: number;
  mismatches: string[];
}

/** Recomputes the cost of each usage row from its meters and its price version. Memory is bounded by one page. */
export async function costMismatches(tx: Transaction, sinceMs: number, limit: number): Promise<CostReport> {
  const prices = new Map<string, PriceVersion | undefined>();
  const report: CostReport = { rows: 0, unverifiable: 0, mismatches: [] };
  let after: CostedUsage | undefined;
  for (;;) {
    const page = await nextCostedUsage(tx, sinceMs, after, PAGE_ROWS);
    await loadPrices(tx, page, prices);
    for (const row of page) check(row, prices, report, limit);
    report.rows += page.length;
    after = page.at(-1);
    if (page.length < PAGE_ROWS) return report;
  }
}

async function loadPrices(tx: Transaction, page: readonly CostedUsage[], prices: Map<string, PriceVersion | undefined>): Promise<void> {
  const unknown = [...new Set(page.flatMap(({ priceVersionId }) => (priceVersionId !== null && !prices.has(priceVersionId) ? [priceVersionId] : [])))];
  if (unknown.length === 0) return;
  const found = await readPriceVersions(tx, unknown);
  for (const id of unknown) prices.set(id, found.get(id));
}

function check(row: CostedUsage, prices: ReadonlyMap<string, PriceVersion | undefined>, report: CostReport, limit: number): void {
  const sum = Object.values(row.components ?? {}).reduce((total, nano) => total + BigInt(nano), 0n);
  const add = (text: string): void => void (report.mismatches.length < limit && report.mismatches.push(`usage ${row.id} of tenant ${row.tenantId}: ${text}`));
  if (row.costNano !== null && row.components !== null && sum !== row.costNano) add(`cost ${row.costNano}, components ${sum}`);
  const price = row.priceVersionId === null ? undefined : prices.get(row.priceVersionId);
  if (!price || row.components?.held !== undefined) {
    report.unverifiable += 1;
    return;
  }
  const { totalNano } = costOf(price, row.meters, row.operation);
  if (totalNano !== row.costNano) add(`cost ${row.costNano ?? 'unknown'}, recomputed ${totalNano ?? 'unknown'} with price version ${price.id}`);
}
