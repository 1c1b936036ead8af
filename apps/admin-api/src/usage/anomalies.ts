import type { Anomaly } from '@omg/contracts';
import { localTime, type ReportRange } from './report-range.js';
import { DateTime } from 'luxon';
import type { Metric } from './usage.queries.js';

/**
 * Unusual days: a day is compared with the 14 days before it. Expected is their median; the score is the distance to it in
 * robust standard deviations (1.4826 x MAD), with a floor of 5 % of the median and of a smallest amount that matters, so
 * that steady series do not flag noise. A day that is not over can only be a spike.
 */
export const HISTORY_DAYS = 14;
const HISTORY_DAYS_MIN = 7;

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
  const sorted = new Float64Array(HISTORY_DAYS);
  for (let day = Math.max(options.firstDay, 0); day < values.length; day++) {
    // Days before the entity's first use are no history: everything would be a spike against them.
    const from = Math.max(day - HISTORY_DAYS, firstActive);
    if (day - from < HISTORY_DAYS_MIN) continue;
    const history = sorted.subarray(0, day - from);
    for (let past = from; past < day; past++) history[past - from] = values[past]!;
    const value = values[day]!;
    const expected = medianInPlace(history);
    if (Math.max(value, expected) < VOLUME_MIN[metric]) continue;
    const distance = Math.abs(value - expected);
    const floor = Math.max(0.05 * expected, FLOOR[metric]);
    // The spread can only make the score smaller.
    if (distance / floor < sensitivity) continue;
    for (let index = 0; index < history.length; index++) history[index] = Math.abs(history[index]! - expected);
    const score = distance / Math.max(1.4826 * medianInPlace(history), floor);
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
  return medianInPlace(Float64Array.from(values));
}

/** Sorts what it is given. By insertion: there are fourteen values, and tens of thousands of such lists in a report. */
function medianInPlace(values: Float64Array): number {
  for (let index = 1; index < values.length; index++) {
    const value = values[index]!;
    let place = index - 1;
    for (; place >= 0 && values[place]! > value; place--) values[place + 1] = values[place]!;
    values[place + 1] = value;
  }
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6;
