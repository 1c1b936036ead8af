import { GENESIS_HASH, linkHash, type HashedRow } from '@omg/domain';
import type { Transaction } from './transactions.js';

export interface AuditChainReport {
  rows: number;
  /** One line per break: a changed row, a gap in the numbers, a link that does not fit. */
  problems: string[];
}

const BATCH_ROWS = 1_000;
const PROBLEMS_MAX = 100;

interface ChainedRow extends HashedRow {
  prevHash: Buffer;
  hash: Buffer;
}

/** Reads the whole log in order and checks number, link and hash of each row. Memory is bounded by one batch. */
export async function verifyAuditChain(tx: Transaction): Promise<AuditChainReport> {
  const problems: string[] = [];
  let rows = 0;
  let seq = 0n;
  let hash: Buffer = GENESIS_HASH;
  for (;;) {
    const batch = await nextRows(tx, seq);
    for (const row of batch) {
      rows++;
      if (row.seq !== seq + 1n) problems.push(`rows ${seq + 1n} to ${row.seq - 1n} are missing`);
      if (!row.prevHash.equals(hash)) problems.push(`row ${row.seq} does not follow from the row before it`);
      if (!linkHash(row.prevHash, row).equals(row.hash)) problems.push(`row ${row.seq} was changed`);
      seq = row.seq;
      hash = row.hash;
      if (problems.length >= PROBLEMS_MAX) return { rows, problems };
    }
    if (batch.length < BATCH_ROWS) return { rows, problems };
  }
}

async function nextRows(tx: Transaction, afterSeq: bigint): Promise<ChainedRow[]> {
  const { rows } = await tx.query<ChainedRow & Record<string, unknown>>({
    name: 'audit-chain-page',
    text: `SELECT seq, id, user_email AS "userEmail", tenant_id AS "tenantId", action, resource, resource_id AS "resourceId", metadata,
  created_at AS "createdAt", prev_hash AS "prevHash", hash FROM audit_logs WHERE seq > $1 ORDER BY seq LIMIT ${BATCH_ROWS}`,
    values: [afterSeq],
  });
  return rows;
}
