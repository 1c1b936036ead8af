import type { Point, Totals } from '@omg/contracts';
import { centsFromNanoUsd, microsFromNanoUsd, usdFromNanoUsd } from '@omg/domain';
import { localTime } from './report-range.js';
import type { UsageSum } from './usage.queries.js';

/** Sums as they are added up; they become numbers only in the answer. */
export interface Sums {
  requests: bigint;
  tokens: bigint;
  costNano: bigint;
  unpriced: bigint;
}

export const NO_SUMS: Sums = { requests: 0n, tokens: 0n, costNano: 0n, unpriced: 0n };

export function addSums(rows: Iterable<Sums>): Sums {
  const total = { ...NO_SUMS };
  for (const row of rows) {
    total.requests += row.requests;
    total.tokens += row.tokens;
    total.costNano += row.costNano;
    total.unpriced += row.unpriced;
  }
  return total;
}

export function totalsBody(sums: Sums): Totals {
  return {
    requests: Number(sums.requests),
    tokens: Number(sums.tokens),
    cost_cents: Number(centsFromNanoUsd(sums.costNano)),
    cost_usd: Number(usdFromNanoUsd(sums.costNano)),
    cost_usd_micros: Number(microsFromNanoUsd(sums.costNano)),
    unpriced_requests: Number(sums.unpriced),
  };
}

/** One point per local day, empty days included. */
export function pointsBody(boundariesMs: readonly number[], timezone: string, rows: Iterable<UsageSum>): Point[] {
  const byDay: Sums[] = boundariesMs.map(() => NO_SUMS);
  for (const row of rows) byDay[row.group] = addSums([byDay[row.group]!, row]);
  return byDay.map((sums, index) => ({ date: localTime(boundariesMs[index]!, timezone), ...totalsBody(sums) }));
}

/** By cost, then requests, then id, so that pages and ties are stable. */
export function byCost(a: Sums & { id: string }, b: Sums & { id: string }): number {
  return compareBig(b.costNano, a.costNano) || compareBig(b.requests, a.requests) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
