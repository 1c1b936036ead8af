import { Inject, Injectable } from '@nestjs/common';
import { usdFromNanoUsd, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';
import { ADMIN_CONFIG } from '../http/tokens.js';
import { termsOf, type BudgetTerms } from '../usage/budget-terms.js';
import { runningSpend } from '../usage/running-spend.js';

export interface TenantFigures extends BudgetTerms {
  spentNano: NanoUsd;
}

/** Limit and spend of the window that is running now, for any number of tenants in a few queries. */
@Injectable()
export class BudgetFigures {
  constructor(@Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets' | 'reporting'>) {}

  get timezone(): string {
    return this.config.reporting.timezone;
  }

  async of(tx: PrismaTx, tenantIds: readonly string[]): Promise<Map<string, TenantFigures>> {
    const terms = await termsOf(tx, this.config, tenantIds);
    const spent = await runningSpend(
      tx,
      tenantIds.map((tenantId) => ({ tenantId })),
      terms,
      this.timezone,
    );
    return new Map([...terms].map(([id, term]) => [id, { ...term, spentNano: spent.get(id) ?? 0n }]));
  }
}

export function figuresBody(figures: TenantFigures): { budget_limit_usd: number; budget_used_usd: number; warning_threshold: number } {
  return {
    budget_limit_usd: Number(usdFromNanoUsd(figures.limitNano)),
    budget_used_usd: Number(usdFromNanoUsd(figures.spentNano)),
    warning_threshold: figures.warningThreshold,
  };
}
