import {
  TENANT_SCOPE,
  createTotals,
  databaseNowMs,
  lockTenants,
  readTotals,
  tenantsWithMissingTotals,
  type BudgetTotal,
  type Transaction,
  type WindowRef,
} from '@omg/database';
import type { NanoUsd } from '@omg/domain';
import { boundsOf, isRollingId } from '../persist/booking.js';

export interface TotalsRequest {
  tenantId: string;
  /** Also the key's own total. */
  apiKeyId?: string;
  windowId: string;
}

/**
 * The totals of a window as Postgres knows them, counted from the rollups when nobody has counted them yet or when a
 * rolling window has moved on. Undefined for a window id that no schedule produces.
 */
export async function currentTotals(
  tx: Transaction,
  request: TotalsRequest,
  rules: { timezone: string; defaultLimitNano: NanoUsd },
): Promise<BudgetTotal[] | undefined> {
  const { tenantId, apiKeyId, windowId } = request;
  const bounds = boundsOf(windowId, rules.timezone, isRollingId(windowId) ? await databaseNowMs(tx) : 0);
  if (!bounds) return undefined;
  const refs: WindowRef[] = [TENANT_SCOPE, ...(apiKeyId === undefined ? [] : [apiKeyId])].map((scope) => ({ tenantId, apiKeyId: scope, windowId, ...bounds }));
  const missing = await tenantsWithMissingTotals(tx, refs);
  if (missing.length > 0) {
    await lockTenants(tx, new Map([[tenantId, true]]));
    await createTotals(tx, refs, rules.defaultLimitNano);
  }
  return readTotals(tx, refs);
}
