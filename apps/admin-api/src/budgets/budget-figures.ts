import { Inject, Injectable } from '@nestjs/common';
import { budgetWindow, rollingDays, usdFromNanoUsd, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';
import { ADMIN_CONFIG } from '../http/tokens.js';
import { termsOf, type BudgetTerms } from '../usage/budget-terms.js';

/** The row of `budget_totals` that counts the tenant as a whole. */
const WHOLE_TENANT = '00000000-0000-0000-0000-000000000000';

export interface TenantFigures extends BudgetTerms {
  spentNano: NanoUsd;
}

/** Limit and spend of the window that is running now, for any number of tenants in three queries. */
@Injectable()
export class BudgetFigures {
  constructor(@Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets' | 'reporting'>) {}

  get timezone(): string {
    return this.config.reporting.timezone;
  }

  async of(tx: PrismaTx, tenantIds: readonly string[]): Promise<Map<string, TenantFigures>> {
    const terms = await termsOf(tx, this.config, tenantIds);
    const [{ now }] = (await tx.$queryRaw<{ now: Date }[]>`SELECT now() AS now`) as [{ now: Date }];
    const windows = new Map(
      [...terms].map(([id, term]) => [
        id,
        { window: budgetWindow(term.schedule, this.timezone, now.getTime()), rolling: rollingDays(term.schedule) !== undefined },
      ]),
    );
    const fixed = [...windows]
      .filter(([, { rolling }]) => !rolling)
      .map(([tenantId, { window }]) => ({ tenantId, apiKeyId: WHOLE_TENANT, windowId: window.id }));
    const totals = fixed.length === 0 ? [] : await tx.budgetTotal.findMany({ where: { OR: fixed }, select: { tenantId: true, spentNano: true } });
    const spent = new Map(totals.map((row) => [row.tenantId, row.spentNano]));
    const moving = [...windows].filter(([, { rolling }]) => rolling).map(([tenantId, { window }]) => ({ tenantId, startMs: window.startMs }));
    for (const [tenantId, sum] of await sumSince(tx, moving)) spent.set(tenantId, sum);
    return new Map([...terms].map(([id, term]) => [id, { ...term, spentNano: spent.get(id) ?? 0n }]));
  }
}

/** Rolling windows are summed from the rollups: the stored total is as old as the last request. */
async function sumSince(tx: PrismaTx, windows: readonly { tenantId: string; startMs: number }[]): Promise<Map<string, NanoUsd>> {
  if (windows.length === 0) return new Map();
  const ids = windows.map(({ tenantId }) => tenantId);
  const starts = windows.map(({ startMs }) => new Date(startMs));
  const rows = await tx.$queryRaw<{ id: string; spent: bigint }[]>`
    SELECT w.id::text AS id, coalesce(sum(r.cost_nano), 0)::bigint AS spent
    FROM unnest(${ids}::uuid[], ${starts}::timestamptz[]) AS w(id, since)
    LEFT JOIN usage_rollups r ON r.tenant_id = w.id AND r.bucket >= w.since
    GROUP BY w.id`;
  return new Map(rows.map((row) => [row.id, row.spent]));
}

export function figuresBody(figures: TenantFigures): { budget_limit_usd: number; budget_used_usd: number; warning_threshold: number } {
  return {
    budget_limit_usd: Number(usdFromNanoUsd(figures.limitNano)),
    budget_used_usd: Number(usdFromNanoUsd(figures.spentNano)),
    warning_threshold: figures.warningThreshold,
  };
}
