import { TENANT_SCOPE, readTotals, type BudgetTotal, type LedgerDatabase } from '@omg/database';
import { type LedgerStore } from '@omg/storage';
import { isRollingId } from '../persist/booking.js';

export interface RedisStanding {
  tenants: number;
  mismatches: string[];
}

type Held = Awaited<ReturnType<LedgerStore['inspect']>>['budgets'][number];

/** Totals in Redis that differ from Postgres's. */
export async function redisMismatches(database: LedgerDatabase, store: Pick<LedgerStore, 'activeTenants' | 'inspect'>): Promise<RedisStanding> {
  const mismatches: string[] = [];
  const tenants = await store.activeTenants();
  for (const tenantId of tenants) {
    const { budgets } = await store.inspect(tenantId);
    const held = budgets.filter((budget) => budget.spentNano !== undefined);
    const refs = held.map((budget) => ({ tenantId, apiKeyId: scopeOf(budget), windowId: budget.windowId }));
    const totals = await database.transaction((tx) => readTotals(tx, refs));
    for (const budget of held) {
      const total = totals.find(({ apiKeyId, windowId }) => apiKeyId === scopeOf(budget) && windowId === budget.windowId);
      const text = difference(budget, total);
      if (text) mismatches.push(`tenant ${tenantId} ${budget.scope} ${budget.keyId ?? ''} window ${budget.windowId}: ${text}`);
    }
  }
  return { tenants: tenants.length, mismatches };
}

function scopeOf(budget: Held): string {
  return budget.scope === 'tenant' ? TENANT_SCOPE : (budget.keyId ?? '');
}

function difference(budget: Held, total: BudgetTotal | undefined): string | undefined {
  // A window that nobody can spend in any more may be gone from Postgres.
  if (!total) return budget.spentNano === 0n ? undefined : `Redis has ${budget.spentNano}, Postgres has no total`;
  // A key's total and a rolling one go stale in Redis on purpose, and are asked for again before they are used.
  const mayLag = budget.scope !== 'tenant' || isRollingId(budget.windowId);
  if (mayLag && budget.version !== undefined && budget.version < total.version) return undefined;
  if (budget.spentNano === total.spentNano) return undefined;
  return `Redis has ${budget.spentNano} (version ${budget.version}), Postgres ${total.spentNano} (version ${total.version})`;
}
