import type { Point, Totals } from '@omg/contracts';
import type { CsvRow } from '../http/csv.js';

/** Columns and rows of each report's export. Amounts are exact micro-USD besides the rounded cents. */
export const TOTALS_COLUMNS = ['requests', 'tokens', 'cost_usd', 'cost_usd_micros', 'cost_cents', 'unpriced_requests'] as const;

export function totalsCells(totals: Totals): CsvRow {
  const { requests, tokens, cost_usd, cost_usd_micros, cost_cents, unpriced_requests } = totals;
  return { requests, tokens, cost_usd, cost_usd_micros, cost_cents, unpriced_requests };
}

export const POINT_COLUMNS = ['date', ...TOTALS_COLUMNS] as const;

export function* pointRows(points: readonly Point[], extra: CsvRow = {}): Generator<CsvRow> {
  for (const point of points) yield { ...extra, date: point.date, ...totalsCells(point) };
}

export interface DayWithParts<P> {
  date: string;
  parts: readonly (P & Totals)[];
}

/** One row per day and part; days without any are left out. */
export function* partRows<P extends object>(days: readonly DayWithParts<P>[], columns: readonly (keyof P & string)[]): Generator<CsvRow> {
  for (const day of days) {
    for (const part of day.parts)
      yield { date: day.date, ...Object.fromEntries(columns.map((column) => [column, part[column] as string])), ...totalsCells(part) };
  }
}
