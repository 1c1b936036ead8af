import { DateTime } from 'luxon';

/**
 * Budget windows [start, end) in a reporting timezone. Calendar windows follow the local calendar across DST changes; a
 * rolling window is exactly N x 24 hours and ends now, the newest record included.
 */
export type BudgetSchedule = 'calendar_month' | 'weekly' | 'daily' | `rolling_${number}d`;

export interface BudgetWindow {
  schedule: BudgetSchedule;
  /** Names the window in Redis and Postgres: its local start date, or the schedule itself for rolling windows. */
  id: string;
  startMs: number;
  /** For a rolling window: the time it was computed for. */
  endMs: number;
}

const ROLLING_DAYS_MAX = 366;
const DAY_MS = 86_400_000;

/** Normalises `rolling_7`, `rolling_7d` and `rolling_` (30 days). Undefined for an unknown schedule. */
export function parseBudgetSchedule(text: string): BudgetSchedule | undefined {
  const value = text.trim().toLowerCase();
  if (value === 'calendar_month' || value === 'weekly' || value === 'daily') return value;
  const match = /^rolling_(\d{0,3})d?$/.exec(value);
  if (!match) return undefined;
  const days = match[1] === '' ? 30 : Number(match[1]);
  return days >= 1 && days <= ROLLING_DAYS_MAX ? `rolling_${days}d` : undefined;
}

export function rollingDays(schedule: BudgetSchedule): number | undefined {
  const match = /^rolling_(\d+)d$/.exec(schedule);
  return match ? Number(match[1]) : undefined;
}

export function budgetWindow(schedule: BudgetSchedule, timezone: string, nowMs: number): BudgetWindow {
  const days = rollingDays(schedule);
  if (days !== undefined) return { schedule, id: schedule, startMs: nowMs - days * DAY_MS, endMs: nowMs };
  const unit = schedule === 'calendar_month' ? 'month' : schedule === 'weekly' ? 'week' : 'day';
  const local = DateTime.fromMillis(nowMs, { zone: timezone });
  if (!local.isValid) throw new RangeError(`unknown timezone: ${timezone}`);
  // Luxon's weeks are ISO weeks: they start on Monday, as the contract asks.
  const start = local.startOf(unit);
  const end = start.plus({ [unit]: 1 }).startOf(unit);
  return { schedule, id: `${schedule}:${start.toISODate()}`, startMs: start.toMillis(), endMs: end.toMillis() };
}

/**
 * The window that an id names, such as `weekly:2026-11-16`. Undefined for a rolling window, which has no fixed bounds, and
 * for anything that no schedule produces.
 */
export function budgetWindowById(id: string, timezone: string): BudgetWindow | undefined {
  const separator = id.indexOf(':');
  if (separator < 0) return undefined;
  const schedule = parseBudgetSchedule(id.slice(0, separator));
  const start = DateTime.fromISO(id.slice(separator + 1), { zone: timezone });
  if (schedule === undefined || rollingDays(schedule) !== undefined || !start.isValid) return undefined;
  const window = budgetWindow(schedule, timezone, start.toMillis());
  return window.id === id ? window : undefined;
}
