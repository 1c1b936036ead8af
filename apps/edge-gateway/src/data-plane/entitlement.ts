import type { DefaultsDocument } from '@omg/contracts';
import { budgetWindow, effectiveLimits, parseBudgetSchedule, type BudgetSchedule, type BudgetWindow, type NanoUsd, type RateLimits } from '@omg/domain';
import type { BudgetClaim } from '@omg/storage';
import type { EdgeConfig } from '../config.js';
import type { Caller } from './context.js';

/** What a caller may use: limits, budgets and their window, with defaults and overrides merged. */
export interface Entitlement {
  limits: { key: RateLimits; tenant: RateLimits };
  budgets: { tenant: BudgetClaim; key?: BudgetClaim };
  warningThreshold: { tenant: number; key: number };
  window: BudgetWindow;
  strict: boolean;
}

export function entitlementOf(caller: Caller, defaults: DefaultsDocument, windows: WindowCache, nowMs: number): Entitlement {
  const tenant = caller.tenant.doc;
  const key = caller.key.doc;
  const { limits } = defaults;
  const budget = { ...defaults.budget, ...definedOnly(tenant.budget) };
  const window = windows.window(budget.schedule, defaults.timezone, nowMs);
  const claim = (limitNano: NanoUsd): BudgetClaim => ({ windowId: window.id, windowEndMs: window.endMs, limitNano });
  const quotaNano = key.quota?.limitNano;
  return {
    limits: {
      key: effectiveLimits({ ...limits, parallelRequests: limits.parallelRequestsKey }, key.limits),
      tenant: effectiveLimits({ ...limits, parallelRequests: limits.parallelRequestsTenant }, tenant.limits),
    },
    budgets: { tenant: claim(BigInt(budget.limitNano)), ...(quotaNano === undefined ? {} : { key: claim(BigInt(quotaNano)) }) },
    warningThreshold: { tenant: budget.warningThreshold, key: key.quota?.warningThreshold || budget.warningThreshold },
    window,
    strict: budget.enforcement === 'strict',
  };
}

/** What may be open of a budget whose committed total Redis does not know: nothing, where it must never be passed. */
export function unseededAllowance(config: Pick<EdgeConfig, 'unseededAllowanceNano'>, { strict }: Entitlement): NanoUsd {
  return strict ? 0n : config.unseededAllowanceNano;
}

function definedOnly<T extends object>(value: T | undefined): Partial<T> {
  return value ? (Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined && v !== null)) as Partial<T>) : {};
}

/** Calendar arithmetic costs some ten microseconds; a window holds for hours, so the last ones are kept. */
export class WindowCache {
  private readonly windows = new Map<string, BudgetWindow>();

  /** Distinct (schedule, timezone) pairs are few; the bound only guards against a configuration gone wild. */
  private static readonly ENTRIES_MAX = 1024;

  window(schedule: string, timezone: string, nowMs: number): BudgetWindow {
    const name = `${schedule}|${timezone}`;
    const cached = this.windows.get(name);
    if (cached && nowMs >= cached.startMs && nowMs < cached.endMs) return cached;
    const parsed: BudgetSchedule = parseBudgetSchedule(schedule) ?? 'calendar_month';
    const window = budgetWindow(parsed, timezone, nowMs);
    if (this.windows.size >= WindowCache.ENTRIES_MAX) this.windows.clear();
    this.windows.set(name, window);
    return window;
  }
}
