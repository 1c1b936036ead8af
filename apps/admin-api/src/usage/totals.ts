import type { Point, Totals } from '@omg/contracts';
import { centsFromNanoUsd, microsFromNanoUsd, usdFromNanoUsd } from '@omg/domain';
import { localTime } from './report-range.js';
import type { UsageSum } from './usage.queries.js';

/** Sums as they are added up. Money becomes a number only in the answer; counts stay far below 2^53. */
export interface Sums {
  requests: number;
  tokens: number;
  costNano: bigint;
  unpriced: number;
}

export const NO_SUMS: Sums = { requests: 0, tokens: 0, costNano: 0n, unpriced: 0 };

export function addSums(rows: Iterable<Sums>): Sums {
  const total = { ...NO_SUMS };
  for (const row of rows) addTo(total, row);
  return total;
}

function addTo(total: Sums, row: Sums): void {
  total.requests += row.requests;
  total.tokens += row.tokens;
  total.costNano += row.costNano;
  total.unpriced += row.unpriced;
}

/** Up to some 8,000 USD the three amounts come out of one number exactly: wide reports have tens of thousands of them. */
const EXACT_AS_NUMBER_NANO = 8e12;

export function totalsBody({ requests, tokens, costNano, unpriced }: Sums): Totals {
  const nano = Number(costNano);
  const isSmall = nano >= 0 && nano < EXACT_AS_NUMBER_NANO;
  return {
    requests,
    tokens,
    cost_cents: isSmall ? Math.floor((nano + 5e6) / 1e7) : Number(centsFromNanoUsd(costNano)),
    cost_usd: isSmall ? nano / 1e9 : Number(usdFromNanoUsd(costNano)),
    cost_usd_micros: isSmall ? Math.floor((nano + 500) / 1e3) : Number(microsFromNanoUsd(costNano)),
    unpriced_requests: unpriced,
  };
}

export function subtractSums(all: Sums, part: Sums): Sums {
  return {
    requests: all.requests - part.requests,
    tokens: all.tokens - part.tokens,
    costNano: all.costNano - part.costNano,
    unpriced: all.unpriced - part.unpriced,
  };
}

/** One for each of the groups, empty ones included. */
export function sumByDay(days: number, rows: Iterable<UsageSum>): Sums[] {
  const byDay: Sums[] = Array.from({ length: days }, () => ({ ...NO_SUMS }));
  for (const row of rows) addTo(byDay[row.group]!, row);
  return byDay;
}

/** One point per local day, empty days included. */
export function pointsBody(boundariesMs: readonly number[], timezone: string, rows: Iterable<UsageSum>): Point[] {
  return sumByDay(boundariesMs.length, rows).map((sums, index) => ({ date: localTime(boundariesMs[index]!, timezone), ...totalsBody(sums) }));
}

/** By cost, then requests, then id, so that pages and ties are stable. */
export function byCost(a: Sums & { id: string }, b: Sums & { id: string }): number {
  if (a.costNano !== b.costNano) return a.costNano < b.costNano ? 1 : -1;
  return b.requests - a.requests || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
