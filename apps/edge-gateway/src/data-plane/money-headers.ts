import { centsFromNanoUsd, usdFromNanoUsd, type NanoUsd } from '@omg/domain';
import type { AdmissionState, BudgetState, WindowState } from '@omg/storage';

/**
 * `X-Budget-*` and `x-ratelimit-*` of an answer. Total is what Postgres has committed plus what running and just
 * finished calls hold; shown is the budget (tenant's or key's) with the least remaining.
 */
export function admissionHeaders(headers: Record<string, string>, admission: AdmissionState, warningThreshold: { tenant: number; key: number }): void {
  windowHeaders(headers, 'requests', admission.requests);
  windowHeaders(headers, 'tokens', admission.tokens);
  budgetHeaders(headers, admission.budgets, warningThreshold);
}

function windowHeaders(headers: Record<string, string>, name: string, state: WindowState): void {
  headers[`x-ratelimit-limit-${name}`] = String(state.limit);
  headers[`x-ratelimit-remaining-${name}`] = String(Math.max(0, state.remaining));
  headers[`x-ratelimit-reset-${name}`] = formatDuration(state.resetMs);
}

/** As OpenAI writes it: `120ms`, `1s`, `6m0s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.ceil(ms))}ms`;
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

function totalOf(budget: BudgetState): NanoUsd {
  return (budget.spentNano ?? 0n) + budget.openNano;
}

function budgetHeaders(headers: Record<string, string>, budgets: AdmissionState['budgets'], warningThreshold: { tenant: number; key: number }): void {
  const { tenant, key } = budgets;
  const useKey = key !== undefined && key.limitNano - totalOf(key) < tenant.limitNano - totalOf(tenant);
  const budget = useKey ? key : tenant;
  const threshold = useKey ? warningThreshold.key : warningThreshold.tenant;
  const total = totalOf(budget);
  const remaining = budget.limitNano > total ? budget.limitNano - total : 0n;
  headers['x-budget-limit-cents'] = String(centsFromNanoUsd(budget.limitNano));
  headers['x-budget-total-cents'] = String(centsFromNanoUsd(total));
  headers['x-budget-remaining-cents'] = String(centsFromNanoUsd(remaining));
  headers['x-budget-limit-usd'] = usdFromNanoUsd(budget.limitNano);
  headers['x-budget-total-usd'] = usdFromNanoUsd(total);
  headers['x-budget-remaining-usd'] = usdFromNanoUsd(remaining);
  if (total >= budget.limitNano) headers['x-budget-exceeded'] = 'true';
  else if (Number(total) >= threshold * Number(budget.limitNano)) headers['x-budget-warning'] = 'true';
}
