/** What the usage recorder works with: the ledger's statements, its stream and its queues. */
export {
  TENANT_SCOPE,
  addToTotals,
  createTotals,
  lockTenants,
  readTotals,
  tenantsWithMissingTotals,
  type BudgetDelta,
  type BudgetTotal,
  type WindowRef,
} from './postgres/budget-totals.queries.js';
export {
  databaseNowMs,
  readSettings,
  readTenantBudget,
  tenantSchedules,
  type PersistedSettings,
  type TenantBudgetOverride,
} from './postgres/budget-settings.queries.js';
export { isRefusedByDatabase, ledgerDatabase, sqlState, type LedgerDatabase, type Transaction, type TransactionOptions } from './postgres/transactions.js';
export { deleteEmptyRollups, lockEstimates, replaceEstimates, toldOtherwise, type ReplacedUsage } from './postgres/usage-corrections.queries.js';
export { addRollups, insertUsage, touchKeys, type Booking, type RollupDelta } from './postgres/usage-rows.queries.js';
export {
  USAGE_ACK_WAIT_MS,
  USAGE_MESSAGE_BYTES_MAX,
  USAGE_UNACKED_MAX,
  acknowledge,
  ensureUsageStreams,
  keepMessage,
  publishDeadLetter,
  readDeadLetters,
  subscribeToUsage,
  usageBacklog,
  type UsageBacklog,
  type UsageMessage,
  type UsageStreamOptions,
  type UsageSubscription,
} from './nats/usage-stream.js';
export { RetryLater, openQueue, work, type JobQueue, type JobWorker, type QueueJob, type WorkOptions, type WorkerJob } from './queues/queue.js';
export { respond, type ResponderOptions } from './nats/responder.js';
export {
  insertAlertEvent,
  keyPrefix,
  lockAlertEvent,
  lockAlertState,
  saveAlertState,
  saveDeliveries,
  undeliveredAlerts,
  type AlertDelivery,
  type AlertEvent,
  type AlertLevel,
  type AlertState,
} from './postgres/budget-alerts.queries.js';
export { deleteOldRows, dropPartitions, ensurePartitions, type PartitionedTable } from './postgres/retention.queries.js';
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
} from './postgres/usage-verify.queries.js';
export { verifyAuditChain, type AuditChainReport } from './postgres/audit-chain.queries.js';
