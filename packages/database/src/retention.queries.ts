import type { Transaction } from './transactions.js';

/** Partitions and what outlives its retention. The functions `omg_*` are part of the migrations. */

const iso = (ms: number): string => new Date(ms).toISOString();

/** Makes the partitions of the next months; returns the names of the new ones. */
export async function ensurePartitions(tx: Transaction, monthsAhead: number): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>({ text: 'SELECT omg_ensure_partitions($1) AS name', values: [monthsAhead] });
  return rows.map((row) => row.name);
}

export type PartitionedTable = 'requests' | 'usage_records';

/** Drops the months that ended before `beforeMs`; returns their names. */
export async function dropPartitions(tx: Transaction, table: PartitionedTable, beforeMs: number): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>({ text: 'SELECT omg_drop_partitions_before($1, $2) AS name', values: [table, iso(beforeMs)] });
  return rows.map((row) => row.name);
}

/** Deletes up to `limit` rows older than `beforeMs`, oldest first; returns how many. Short transactions keep locks short. */
export async function deleteOldRows(tx: Transaction, table: PartitionedTable, beforeMs: number, limit: number): Promise<number> {
  const { rowCount } = await tx.query({
    text: `DELETE FROM ${table} t USING (SELECT ts, id FROM ${table} WHERE ts < $1 ORDER BY ts LIMIT $2) old WHERE t.ts = old.ts AND t.id = old.id`,
    values: [iso(beforeMs), limit],
  });
  return rowCount ?? 0;
}
