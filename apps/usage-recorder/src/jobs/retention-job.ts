import type { Config, Logger } from '@omg/service-kit';
import { deleteOldRows, dropPartitions, ensurePartitions, type LedgerDatabase, type PartitionedTable } from '@omg/database';
import type { RecorderMetrics } from '../metrics.js';
import { requestsKeptMs, usageKeptMs } from '../retention.js';

/** Partitions made ahead: the job may fail for months before a row lands in the default partition. */
const MONTHS_AHEAD = 3;
/** Rows of one step: short transactions keep locks short. */
const STEP_ROWS = 5_000;
/** Steps of one run; what is left waits for the next one. */
const STEPS_MAX = 2_000;

export interface RetentionParts {
  database: LedgerDatabase;
  metrics: RecorderMetrics;
  log: Logger;
}

/** Makes the partitions of the coming months. */
export async function makePartitions({ database, log }: RetentionParts): Promise<void> {
  const made = await database.transaction((tx) => ensurePartitions(tx, MONTHS_AHEAD));
  if (made.length > 0) log.info({ partitions: made }, 'partitions made');
}

/**
 * Deletes request rows and usage rows whose time is over: whole months by dropping their partition, the rest in small
 * steps. Rollups and budget totals stay: they hold sums, no request.
 */
export async function purge(parts: RetentionParts, retention: Config['retention'], nowMs: number, signal: AbortSignal): Promise<void> {
  await purgeTable(parts, 'requests', requestsKeptMs(retention), nowMs, signal);
  await purgeTable(parts, 'usage_records', usageKeptMs(retention), nowMs, signal);
}

async function purgeTable(
  { database, metrics, log }: RetentionParts,
  table: PartitionedTable,
  keptMs: number,
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (keptMs === Infinity) return;
  const beforeMs = nowMs - keptMs;
  const dropped = await database.transaction((tx) => dropPartitions(tx, table, beforeMs));
  let deleted = 0;
  for (let i = 0; i < STEPS_MAX && !signal.aborted; i++) {
    const rows = await database.transaction((tx) => deleteOldRows(tx, table, beforeMs, STEP_ROWS));
    deleted += rows;
    metrics.purgedRows.child(table).inc(rows);
    if (rows < STEP_ROWS) break;
  }
  if (dropped.length + deleted > 0) log.info({ table, dropped, deleted }, 'rows whose retention ended are deleted');
}
