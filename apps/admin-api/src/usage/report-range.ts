import { AdminError, PERIOD_DAYS_MAX, RANGE_DAYS_MAX, type RangeQuery } from '@omg/contracts';
import { DateTime, IANAZone } from 'luxon';

/** Rollups have 15-minute buckets: a report covers whole ones. Every IANA offset in use is a multiple of it. */
export const BUCKET_MS = 900_000;
const DAY_MS = 86_400_000;

/** [startMs, endMs), widened to whole buckets; the answer shows it as it was used. */
export interface ReportRange {
  period: string;
  startMs: number;
  endMs: number;
  timezone: string;
}

/** A local day, or the part of it that lies in the range. */
export interface DayPiece {
  /** Local midnight that the day began with, also when the range begins later. */
  dayStartMs: number;
  dayEndMs: number;
  fromMs: number;
  toMs: number;
}

export interface RangeDefaults {
  period: string;
  timezone: string;
  nowMs: number;
}

export function parseRange(query: RangeQuery, defaults: RangeDefaults): ReportRange {
  const timezone = parseTimezone(query.timezone, defaults.timezone);
  if (query.start !== undefined || query.end !== undefined) return explicitRange(query, timezone);
  const period = query.period ?? defaults.period;
  const count = Number(period.slice(0, -1));
  const lengthMs = count * (period.endsWith('d') ? DAY_MS : 3_600_000);
  if (count < 1 || lengthMs > PERIOD_DAYS_MAX * DAY_MS) throw invalid(`period: must be from 1h to ${PERIOD_DAYS_MAX}d`);
  return { period, timezone, startMs: floorBucket(defaults.nowMs - lengthMs), endMs: ceilBucket(defaults.nowMs) };
}

/** A range cut to whole local days; an `end` past midnight includes its day. */
export function parseDailyRange(query: RangeQuery, defaults: RangeDefaults): ReportRange {
  const range = parseRange(query, defaults);
  const start = local(range.startMs, range.timezone).startOf('day');
  const end = local(range.endMs, range.timezone);
  const midnight = end.startOf('day');
  return { ...range, startMs: start.toMillis(), endMs: (end.toMillis() === midnight.toMillis() ? midnight : nextMidnight(midnight)).toMillis() };
}

export function parseTimezone(text: string | undefined, fallback: string): string {
  if (text === undefined || text === '') return fallback;
  // Fixed offsets such as "+02:00" are no places: they have no rules for summer time to follow.
  if (!IANAZone.isValidZone(text) || !/^[A-Za-z]/.test(text)) throw invalid('timezone: must be an IANA timezone such as Europe/Berlin');
  return text;
}

/** The local days that the range touches, oldest first; days with 23 or 25 hours included. */
export function dayPieces(range: Pick<ReportRange, 'startMs' | 'endMs' | 'timezone'>): DayPiece[] {
  const pieces: DayPiece[] = [];
  let day = local(range.startMs, range.timezone).startOf('day');
  while (day.toMillis() < range.endMs) {
    const next = nextMidnight(day);
    pieces.push({
      dayStartMs: day.toMillis(),
      dayEndMs: next.toMillis(),
      fromMs: Math.max(day.toMillis(), range.startMs),
      toMs: Math.min(next.toMillis(), range.endMs),
    });
    day = next;
  }
  return pieces;
}

/** RFC 3339 with the zone's offset at that time. */
export function localTime(ms: number, timezone: string): string {
  return local(ms, timezone).toISO({ suppressMilliseconds: true })!;
}

export function rangeBody(range: ReportRange): { period: string; start: string; end: string; timezone: string } {
  return { period: range.period, start: localTime(range.startMs, range.timezone), end: localTime(range.endMs, range.timezone), timezone: range.timezone };
}

export const floorBucket = (ms: number): number => Math.floor(ms / BUCKET_MS) * BUCKET_MS;
export const ceilBucket = (ms: number): number => Math.ceil(ms / BUCKET_MS) * BUCKET_MS;

function explicitRange(query: RangeQuery, timezone: string): ReportRange {
  if (query.start === undefined || query.end === undefined) throw invalid('start and end: give both');
  const startMs = Date.parse(query.start);
  const endMs = Date.parse(query.end);
  if (endMs <= startMs) throw invalid('end: must be after start');
  if (endMs - startMs > RANGE_DAYS_MAX * DAY_MS + 3_600_000) throw invalid(`start and end: at most ${RANGE_DAYS_MAX} days apart`);
  if (startMs < 0 || endMs > 4_102_444_800_000) throw invalid('start and end: must lie between 1970 and 2100');
  return { period: `custom_${Math.max(1, Math.round((endMs - startMs) / DAY_MS))}d`, timezone, startMs: floorBucket(startMs), endMs: ceilBucket(endMs) };
}

function local(ms: number, timezone: string): DateTime<true> {
  return DateTime.fromMillis(ms, { zone: timezone }) as DateTime<true>;
}

/** Midnight may not exist or come twice: luxon's start of the day is its first moment. */
function nextMidnight(day: DateTime<true>): DateTime<true> {
  return day.plus({ days: 1 }).startOf('day');
}

function invalid(message: string): AdminError {
  return new AdminError('invalid_request', { message });
}
