import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import { effectiveLimits, nanoUsdFromUsd, type RateLimits } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';
import { ADMIN_CONFIG } from '../http/tokens.js';
import { limitDefaults } from '../rate-limits/limit-defaults.js';
import { termsOf, type BudgetTerms } from '../usage/budget-terms.js';

/** What holds for the keys of some tenants: the frame that a key's own limits and quota must fit in. */
export interface KeyFrame {
  budget: BudgetTerms;
  tenantLimits: RateLimits;
  /** Of a key without limits of its own. */
  keyDefaults: RateLimits;
}

export interface GovernedInput {
  quota?: { budget_usd?: number | null; budget_cents?: number | null; warning_threshold?: number | null } | null;
  rate_limits?: { requests_per_minute: number; tokens_per_minute: number; parallel_requests: number } | null;
}

export interface GovernedColumns {
  quotaNano?: bigint | null;
  quotaWarningThreshold?: number | null;
  requestsPerMinute?: number | null;
  tokensPerMinute?: number | null;
  parallelRequests?: number | null;
}

@Injectable()
export class ApiKeyTerms {
  constructor(@Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets' | 'rate_limits'>) {}

  async frames(tx: PrismaTx, tenantIds: readonly string[]): Promise<Map<string, KeyFrame>> {
    const ids = [...new Set(tenantIds)];
    const budgets = await termsOf(tx, this.config, ids);
    const defaults = await limitDefaults(tx, this.config);
    const own = new Map((await tx.tenantRateLimit.findMany({ where: { tenantId: { in: ids } } })).map((row) => [row.tenantId, row]));
    const { requestsPerMinute, tokensPerMinute, parallelRequestsKey, parallelRequestsTenant } = defaults;
    const keyDefaults = { requestsPerMinute, tokensPerMinute, parallelRequests: parallelRequestsKey };
    const platform = { requestsPerMinute, tokensPerMinute, parallelRequests: parallelRequestsTenant };
    return new Map(ids.map((id) => [id, { budget: budgets.get(id)!, tenantLimits: effectiveLimits(platform, own.get(id)), keyDefaults }]));
  }

  /** Checked columns: a key never gets more than its tenant has. Absent parts stay absent, null takes them away. */
  columns(input: GovernedInput, frame: KeyFrame): GovernedColumns {
    return { ...quotaColumns(input.quota, frame), ...limitColumns(input.rate_limits, frame) };
  }
}

function quotaColumns(quota: GovernedInput['quota'], frame: KeyFrame): GovernedColumns {
  if (quota === undefined) return {};
  if (quota === null) return { quotaNano: null, quotaWarningThreshold: null };
  const usd = quota.budget_usd ?? (quota.budget_cents == null ? undefined : `${quota.budget_cents}e-2`);
  const quotaNano = usd === undefined ? null : nanoUsdFromUsd(usd);
  if (quotaNano !== null && quotaNano > frame.budget.limitNano)
    throw new AdminError('invalid_request', { message: "quota.budget_usd: must not be above the tenant's budget" });
  return { quotaNano, quotaWarningThreshold: quota.warning_threshold || null };
}

const LIMITS = [
  ['requests_per_minute', 'requestsPerMinute'],
  ['tokens_per_minute', 'tokensPerMinute'],
  ['parallel_requests', 'parallelRequests'],
] as const;

function limitColumns(limits: GovernedInput['rate_limits'], frame: KeyFrame): GovernedColumns {
  if (limits === undefined) return {};
  const columns: GovernedColumns = {};
  for (const [field, column] of LIMITS) {
    const value = limits?.[field] || null;
    if (value !== null && value > frame.tenantLimits[column])
      throw new AdminError('invalid_request', { message: `rate_limits.${field}: must not be above the tenant's ${frame.tenantLimits[column]}` });
    columns[column] = value;
  }
  return columns;
}
