import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerDatabase, Transaction } from '@omg/database';
import type { LedgerStore, UsageBacklog } from '@omg/storage';
import { dayMismatches, rollupMismatches, totalMismatches, verifyAuditChain } from '@omg/database';
import { BUCKET_MS } from '../persist/booking.js';
import { costMismatches } from './verify-costs.js';
import { redisMismatches, type RedisStanding } from './verify-redis.js';

/**
 * Is every amount what its source says it is?
 *
 *   usage rows -> cost recomputed from meters and price version
 *   usage rows -> rollups -> budget totals -> Redis
 *                 rollups -> sums of closed days, which reports read
 *   nothing under way: no message, no open attempt, no ended one
 *   audit log: an unbroken chain
 *
 * Postgres is read in one snapshot. Redis and the bus follow it with a delay, so what differs there is looked at again
 * before it counts.
 */
export interface VerifyParts {
  database: LedgerDatabase;
  store: Pick<LedgerStore, 'activeTenants' | 'inspect'>;
  backlog: () => Promise<UsageBacklog>;
}

export interface VerifyOptions {
  /** Older usage rows may be gone. */
  usageSinceMs: number;
  /** Costs are recomputed from here on. */
  costsSinceMs: number;
  /** How long running work may take to end before it counts as left behind. */
  settleMs: number;
  /** Running requests and waiting messages are no mismatch. */
  allowRunning: boolean;
}

export type MismatchKind = 'rollup' | 'budget_total' | 'usage_day' | 'cost' | 'redis_total' | 'left_behind' | 'audit_log';

export interface Mismatch {
  kind: MismatchKind;
  text: string;
}

export interface VerifyReport {
  mismatches: Mismatch[];
  usageRows: number;
  unverifiableCosts: number;
  tenants: number;
  auditRows: number;
  deadLetters: number;
}

/** Of each kind; more do not tell more. */
export const MISMATCHES_MAX = 200;
const STATEMENT_MS = 30 * 60_000;
const SETTLE_PAUSE_MS = 200;

export async function verifyLedger(parts: VerifyParts, options: VerifyOptions): Promise<VerifyReport> {
  const settled = await settle(parts, options);
  const ledger = await parts.database.transaction((tx) => verifyPostgres(tx, options), { snapshot: true, statementTimeoutMs: STATEMENT_MS });
  const standing = await currentStanding(parts, options.settleMs);
  return {
    ...ledger,
    mismatches: [...settled.mismatches, ...ledger.mismatches, ...standing.mismatches.map((text) => ({ kind: 'redis_total' as const, text }))],
    tenants: standing.tenants,
    deadLetters: settled.deadLetters,
  };
}

async function verifyPostgres(tx: Transaction, options: VerifyOptions) {
  // A bucket is compared whole or not at all.
  const rollups = await rollupMismatches(tx, Math.ceil(options.usageSinceMs / BUCKET_MS) * BUCKET_MS, MISMATCHES_MAX);
  const totals = await totalMismatches(tx, MISMATCHES_MAX);
  const days = await dayMismatches(tx, options.usageSinceMs, MISMATCHES_MAX);
  const costs = await costMismatches(tx, options.costsSinceMs, MISMATCHES_MAX);
  const audit = await verifyAuditChain(tx);
  const mismatches: Mismatch[] = [
    ...rollups.map((row) => ({
      kind: 'rollup' as const,
      text: `tenant ${row.tenantId} bucket ${row.bucket.toISOString()} key ${row.apiKeyId} model ${row.modelAlias} provider ${row.provider}: rows say ${row.scanned ?? 'nothing'}, rollup says ${row.stored ?? 'nothing'}`,
    })),
    ...totals.map((row) => ({
      kind: 'budget_total' as const,
      text: `tenant ${row.tenantId} key ${row.apiKeyId} window ${row.windowId}: total ${row.stored}, rollups ${row.counted}`,
    })),
    ...days.map((row) => ({
      kind: 'usage_day' as const,
      text: `day ${row.startsAt.toISOString()} of ${row.zone}, ${row.kind} ${row.tenantId} ${row.entity}: sum ${row.stored ?? 'nothing'}, rollups ${row.counted ?? 'nothing'}`,
    })),
    ...costs.mismatches.map((text) => ({ kind: 'cost' as const, text })),
    ...audit.problems.map((text) => ({ kind: 'audit_log' as const, text })),
  ];
  return { mismatches, usageRows: costs.rows, unverifiableCosts: costs.unverifiable, auditRows: audit.rows };
}

/** Waits for running work to end; tells what did not. */
async function settle(parts: VerifyParts, { settleMs, allowRunning }: VerifyOptions): Promise<{ mismatches: Mismatch[]; deadLetters: number }> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const { left, deadLetters } = await leftBehind(parts);
    if (left.length === 0 || allowRunning) return { mismatches: [], deadLetters };
    if (performance.now() >= deadline)
      return { mismatches: left.slice(0, MISMATCHES_MAX).map((text) => ({ kind: 'left_behind' as const, text })), deadLetters };
    await delay(SETTLE_PAUSE_MS);
  }
}

async function leftBehind({ store, backlog }: VerifyParts): Promise<{ left: string[]; deadLetters: number }> {
  const { waiting, unacknowledged, deadLetters } = await backlog();
  const left: string[] = [];
  if (waiting + unacknowledged > 0) left.push(`${waiting + unacknowledged} usage messages are not booked`);
  for (const tenantId of await store.activeTenants()) {
    const { open, ended } = await store.inspect(tenantId);
    if (open > 0) left.push(`tenant ${tenantId}: ${open} attempts are open`);
    if (ended > 0) left.push(`tenant ${tenantId}: ${ended} ended attempts are not released`);
  }
  return { left, deadLetters };
}

/** A commit is released in Redis a moment later: only what stays different counts. */
async function currentStanding({ database, store }: VerifyParts, settleMs: number): Promise<RedisStanding> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const standing = await redisMismatches(database, store);
    if (standing.mismatches.length === 0 || performance.now() >= deadline) return standing;
    await delay(SETTLE_PAUSE_MS);
  }
}
