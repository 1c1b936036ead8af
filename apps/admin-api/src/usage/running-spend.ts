import { TENANT_SCOPE, type PrismaTx } from '@omg/database';
import { budgetWindow, rollingDays, type NanoUsd } from '@omg/domain';
import { databaseNow } from '../database-now.js';
import type { BudgetTerms } from './budget-terms.js';

/** A tenant as a whole, or one of its keys. */
export interface SpendSubject {
  tenantId: string;
  apiKeyId?: string;
}

interface RunningWindow {
  tenantId: string;
  apiKeyId: string;
  windowId: string;
  start: Date;
}

/**
 * What each subject spent in the window of its tenant's budget that is running now, by the id of the key, else of the tenant.
 *
 * The recorder keeps a total for each window that requests came in under. There is none yet after a change of the schedule or of
 * the reporting timezone, and that of a rolling window is as old as the last request: those are summed from the rollups.
 */
export async function runningSpend(
  tx: PrismaTx,
  subjects: readonly SpendSubject[],
  terms: ReadonlyMap<string, BudgetTerms>,
  timezone: string,
): Promise<Map<string, NanoUsd>> {
  if (subjects.length === 0) return new Map();
  const nowMs = (await databaseNow(tx)).getTime();
  const windows = subjects.map(({ tenantId, apiKeyId = TENANT_SCOPE }): RunningWindow => {
    const { id, startMs } = budgetWindow(terms.get(tenantId)!.schedule, timezone, nowMs);
    return { tenantId, apiKeyId, windowId: id, start: new Date(startMs) };
  });
  const counted = new Map(await storedTotals(tx, windows, terms));
  const sums = await summed(
    tx,
    windows.filter((window) => !counted.has(window)),
  );
  return new Map(windows.map((window) => [idOf(window), counted.get(window) ?? sums.get(idOf(window)) ?? 0n]));
}

const idOf = ({ tenantId, apiKeyId }: RunningWindow): string => (apiKeyId === TENANT_SCOPE ? tenantId : apiKeyId);

async function storedTotals(
  tx: PrismaTx,
  windows: readonly RunningWindow[],
  terms: ReadonlyMap<string, BudgetTerms>,
): Promise<(readonly [RunningWindow, NanoUsd])[]> {
  const fixed = windows.filter(({ tenantId }) => rollingDays(terms.get(tenantId)!.schedule) === undefined);
  if (fixed.length === 0) return [];
  const rows = await tx.budgetTotal.findMany({
    where: { OR: fixed.map(({ tenantId, apiKeyId, windowId }) => ({ tenantId, apiKeyId, windowId })) },
    select: { tenantId: true, apiKeyId: true, windowStart: true, spentNano: true },
  });
  const byId = new Map(rows.map((row) => [`${row.tenantId} ${row.apiKeyId}`, row]));
  return fixed.flatMap((window) => {
    const row = byId.get(`${window.tenantId} ${window.apiKeyId}`);
    // Another start is that of another timezone.
    return row?.windowStart.getTime() === window.start.getTime() ? [[window, row.spentNano] as const] : [];
  });
}

async function summed(tx: PrismaTx, windows: readonly RunningWindow[]): Promise<Map<string, NanoUsd>> {
  if (windows.length === 0) return new Map();
  const columns = [windows.map(({ tenantId }) => tenantId), windows.map(({ apiKeyId }) => apiKeyId), windows.map(({ start }) => start)];
  const rows = await tx.$queryRaw<{ id: string; spent: bigint }[]>`
    SELECT w.id::text AS id, s.spent FROM (
      SELECT tenant, since, NULLIF(key, ${TENANT_SCOPE}::uuid) AS key, CASE WHEN key = ${TENANT_SCOPE}::uuid THEN tenant ELSE key END AS id
      FROM unnest(${columns[0]}::uuid[], ${columns[1]}::uuid[], ${columns[2]}::timestamptz[]) AS u(tenant, key, since)
    ) w CROSS JOIN LATERAL (
      SELECT coalesce(sum(r.cost_nano), 0)::bigint AS spent FROM usage_rollups r
      WHERE r.tenant_id = w.tenant AND (r.tenant_id, r.bucket) >= (w.tenant, w.since) AND (w.key IS NULL OR r.api_key_id = w.key)
    ) s`;
  return new Map(rows.map((row) => [row.id, row.spent]));
}
