import type { Anomaly } from '@omg/contracts';
import { localTime, type ReportRange } from './report-range.js';
import { DateTime } from 'luxon';

/**
 * Unusual days: a day is compared with the 14 days before it. Expected is their median; the score is the distance to it in
 * robust standard deviations (1.4826 x MAD), with a floor of 5 % of the median and of a smallest amount that matters, so
 * that steady series do not flag noise. A day that is not over can only be a spike.
 */
export const HISTORY_DAYS = 14;
const HISTORY_DAYS_MIN = 7;

export type Metric = 'cost' | 'requests' | 'tokens';
/** The smallest deviation unit: USD, requests, tokens. */
const FLOOR: Record<Metric, number> = { cost: 0.01, requests: 1, tokens: 100 };
/** Days below this on both sides are not worth a look. */
const VOLUME_MIN: Record<Metric, number> = { cost: 0.1, requests: 20, tokens: 2_000 };

/** One entity's days, oldest first; cost in USD. */
export interface DailyValues {
  kind: string;
  id: string;
  label: string;
  dayStartsMs: readonly number[];
  values: readonly number[];
}

export interface AnomalyOptions {
  metric: Metric;
  sensitivity: number;
  /** Index of the first day that is judged; the days before it are history only. */
  firstDay: number;
  timezone: string;
  nowMs: number;
}

/** The range with the history that its first day needs, on whole local days. */
export function historyRange(range: ReportRange): ReportRange {
  const start = DateTime.fromMillis(range.startMs, { zone: range.timezone }).startOf('day').minus({ days: HISTORY_DAYS }).startOf('day');
  return { ...range, startMs: start.toMillis() };
}

export function dailyAnomalies(days: DailyValues, options: AnomalyOptions): Anomaly[] {
  const { metric, sensitivity } = options;
  const { values } = days;
  const firstActive = values.findIndex((value) => value > 0);
  const found: Anomaly[] = [];
  if (firstActive < 0) return found;
  for (let day = Math.max(options.firstDay, 0); day < values.length; day++) {
    // Days before the entity's first use are no history: everything would be a spike against them.
    const from = Math.max(day - HISTORY_DAYS, firstActive);
    if (day - from < HISTORY_DAYS_MIN) continue;
    const history = values.slice(from, day);
    const value = values[day]!;
    const expected = median(history);
    if (Math.max(value, expected) < VOLUME_MIN[metric]) continue;
    const spread = median(history.map((past) => Math.abs(past - expected)));
    const score = Math.abs(value - expected) / Math.max(1.4826 * spread, 0.05 * expected, FLOOR[metric]);
    if (score < sensitivity) continue;
    const isOver = endOfDayMs(days.dayStartsMs[day]!, options.timezone) <= options.nowMs;
    const direction = value > expected ? 'spike' : 'drop';
    if (direction === 'drop' && !isOver) continue;
    found.push({
      kind: days.kind,
      id: days.id,
      label: days.label,
      date: localTime(days.dayStartsMs[day]!, options.timezone),
      metric,
      value: round(value),
      expected: round(expected),
      score: round(score),
      direction,
    });
  }
  return found;
}

function endOfDayMs(dayStartMs: number, timezone: string): number {
  return DateTime.fromMillis(dayStartMs, { zone: timezone }).plus({ days: 1 }).startOf('day').toMillis();
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6;
