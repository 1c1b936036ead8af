import type { Anomaly } from '@omg/contracts';
import { dayPieces, localTime, type ReportRange } from './report-range.js';
import { DateTime } from 'luxon';
import type { Metric } from './usage-series.queries.js';

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
  values: readonly number[] | Float64Array;
}

/** A day of the report. Computed once for all entities: calendars are the dearest part of it. */
export interface JudgedDay {
  date: string;
  isOver: boolean;
}

export interface AnomalyOptions {
  metric: Metric;
  sensitivity: number;
  /** One for each value. */
  days: readonly JudgedDay[];
  /** Index of the first day that is judged; the days before it are history only. */
  firstDay: number;
}

/** The range with the history that its first day needs, on whole local days. */
export function historyRange(range: ReportRange): ReportRange {
  const start = DateTime.fromMillis(range.startMs, { zone: range.timezone }).startOf('day').minus({ days: HISTORY_DAYS }).startOf('day');
  return { ...range, startMs: start.toMillis() };
}

/** The local days of a range that begins with its history. */
export function judgedDays(range: ReportRange, nowMs: number): JudgedDay[] {
  return dayPieces(range).map(({ dayStartMs, dayEndMs }) => ({ date: localTime(dayStartMs, range.timezone), isOver: dayEndMs <= nowMs }));
}

export function dailyAnomalies({ values, ...entity }: DailyValues, options: AnomalyOptions): Anomaly[] {
  const { metric, sensitivity, days } = options;
  const found: Anomaly[] = [];
  // Days before the entity's first use are no history: everything would be a spike against them.
  const firstActive = values.findIndex((value: number) => value > 0);
  if (firstActive < 0 || !values.some((value: number) => value >= VOLUME_MIN[metric])) return found;
  const history = new SortedWindow();
  for (let day = Math.max(firstActive, options.firstDay - HISTORY_DAYS); day < values.length; history.push(values[day++]!)) {
    if (day < options.firstDay || history.size < HISTORY_DAYS_MIN) continue;
    const value = values[day]!;
    const expected = history.median();
    if (Math.max(value, expected) < VOLUME_MIN[metric]) continue;
    const distance = Math.abs(value - expected);
    const floor = Math.max(0.05 * expected, FLOOR[metric]);
    // The spread can only make the score smaller.
    if (distance / floor < sensitivity) continue;
    const score = distance / Math.max(1.4826 * history.spread(expected), floor);
    if (score < sensitivity) continue;
    const { date, isOver } = days[day]!;
    const direction = value > expected ? 'spike' : 'drop';
    if (direction === 'drop' && !isOver) continue;
    found.push({ ...entity, date, metric, value: round(value), expected: round(expected), score: round(score), direction });
  }
  return found;
}

/**
 * The values of the last days, kept in order: a report slides it over tens of thousands of days. Plain loops over arrays that
 * stay: views, copies and the library's sort of fourteen numbers would be most of the report's time.
 */
class SortedWindow {
  size = 0;
  private readonly sorted = new Float64Array(HISTORY_DAYS);
  /** In the order of time, as a ring. */
  private readonly recent = new Float64Array(HISTORY_DAYS);
  private readonly distances = new Float64Array(HISTORY_DAYS);
  private pushed = 0;

  push(value: number): void {
    const { sorted, recent } = this;
    const slot = this.pushed++ % HISTORY_DAYS;
    let place = 0;
    if (this.size < HISTORY_DAYS) place = this.size++;
    else while (sorted[place] !== recent[slot]) place++;
    recent[slot] = value;
    // The place that became free wanders to where the value belongs.
    for (; place > 0 && sorted[place - 1]! > value; place--) sorted[place] = sorted[place - 1]!;
    for (; place < this.size - 1 && sorted[place + 1]! < value; place++) sorted[place] = sorted[place + 1]!;
    sorted[place] = value;
  }

  median(): number {
    return middle(this.sorted, this.size);
  }

  /** The median of the values' distances from `center`. */
  spread(center: number): number {
    const { sorted, distances, size } = this;
    for (let index = 0; index < size; index++) {
      const distance = Math.abs(sorted[index]! - center);
      let place = index;
      for (; place > 0 && distances[place - 1]! > distance; place--) distances[place] = distances[place - 1]!;
      distances[place] = distance;
    }
    return middle(distances, size);
  }
}

function middle(sorted: Float64Array, size: number): number {
  const half = size >> 1;
  return size % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6;
