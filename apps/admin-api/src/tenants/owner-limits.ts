import { AdminError } from '@omg/contracts';
import { rollingDays, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import type { Principal } from '../http/principal.js';

/**
 * What an owner may set himself. He may tighten; loosening stops at what is already in force or at the platform's default,
 * whichever is more. Only a super admin goes beyond.
 */

export interface BudgetStrength {
  limitNano: NanoUsd;
  schedule: BudgetSchedule;
  enforcement: 'estimate' | 'strict';
}

const CALENDAR_MONTH_DAYS = 30n;

function windowDays(schedule: BudgetSchedule): bigint {
  if (schedule === 'calendar_month') return CALENDAR_MONTH_DAYS;
  if (schedule === 'weekly') return 7n;
  return BigInt(rollingDays(schedule) ?? 1);
}

/** Whether `a` lets more through than `b`: by its amount, or by its amount per day (a monthly limit that renews daily). */
function isLooser(a: BudgetStrength, b: BudgetStrength): boolean {
  return (
    a.limitNano > b.limitNano ||
    a.limitNano * windowDays(b.schedule) > b.limitNano * windowDays(a.schedule) ||
    (a.enforcement === 'estimate' && b.enforcement === 'strict')
  );
}

export function requireBudgetAllowed(caller: Principal, wanted: BudgetStrength, current: BudgetStrength, platform: BudgetStrength): void {
  if (caller.isSuperAdmin) return;
  if (isLooser(wanted, current) && isLooser(wanted, platform))
    throw new AdminError('forbidden', { message: 'Only a super admin may raise a budget above the platform default.' });
}

export interface LimitValues {
  requestsPerMinute: number;
  tokensPerMinute: number;
  parallelRequests: number;
}

export function requireLimitsAllowed(caller: Principal, wanted: LimitValues, current: LimitValues, platform: LimitValues): void {
  if (caller.isSuperAdmin) return;
  for (const name of ['requestsPerMinute', 'tokensPerMinute', 'parallelRequests'] as const) {
    if (wanted[name] > Math.max(current[name], platform[name]))
      throw new AdminError('forbidden', { message: 'Only a super admin may raise limits above the platform default.' });
  }
}

/** `null`: all models. An owner may take models away, not add them. */
export function requireModelsAllowed(caller: Principal, wanted: readonly string[] | null, current: ReadonlySet<string> | null): void {
  if (caller.isSuperAdmin || current === null) return;
  if (wanted === null || wanted.some((model) => !current.has(model)))
    throw new AdminError('forbidden', { message: 'Only a super admin may add models to the list.' });
}
