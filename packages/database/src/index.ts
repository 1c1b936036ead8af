export * from './prisma.js';
export { createPool, pingPostgres, type DatabaseSettings, type PoolOptions, type PostgresPool } from './pool.js';
export { ADVISORY_LOCKS, LeaderSession, type LeaderSessionOptions } from './leader-session.js';
/** What the usage recorder works with: the ledger's statements. */
export {
  TENANT_SCOPE,
  addToTotals,
  createTotals,
  lockTenants,
  readTotals,
  tenantsWithMissingTotals,
  type AddedTotal,
  type BudgetDelta,
  type BudgetTotal,
  type WindowRef,
} from './budget-totals.queries.js';
export {
  databaseNowMs,
  readSettings,
  readTenantBudget,
  tenantSchedules,
  type PersistedSettings,
  type TenantBudgetOverride,
} from './budget-settings.queries.js';
export { isRefusedByDatabase, ledgerDatabase, sqlState, type LedgerDatabase, type Transaction, type TransactionOptions } from './transactions.js';
export { deleteEmptyRollups, lockEstimates, replaceEstimates, toldOtherwise, type ReplacedUsage } from './usage-corrections.queries.js';
export { addRollups, insertUsage, touchKeys, type Booking, type RollupDelta } from './usage-rows.queries.js';
export {
  insertAlertEvent,
  keyPrefix,
  lockAlertEvent,
  lockAlertState,
  saveAlertState,
  saveDeliveries,
  tenantsToEvaluate,
  undeliveredAlerts,
  type AlertDefaults,
  type AlertDelivery,
  type AlertEvent,
  type AlertLevel,
  type AlertState,
} from './budget-alerts.queries.js';
export { deleteOldRows, dropPartitions, ensurePartitions, type PartitionedTable } from './retention.queries.js';
export {
  dayMismatches,
  nextCostedUsage,
  readPriceVersions,
  rollupMismatches,
  totalMismatches,
  type CostedUsage,
  type DayMismatch,
  type RollupMismatch,
  type TotalMismatch,
} from './usage-verify.queries.js';
export { verifyAuditChain, type AuditChainReport } from './audit-chain.queries.js';
