import type { PrismaClient } from '@omg/storage';
import { GENESIS_HASH, linkHash } from './audit.js';

export interface AuditChainReport {
  rows: number;
  /** One line per break: a changed row, a gap in the numbers, a link that does not fit. */
  problems: string[];
}

const BATCH_ROWS = 1_000;
const PROBLEMS_MAX = 100;

/** Reads the whole log in order and checks number, link and hash of each row. Memory is bounded by one batch. */
export async function verifyAuditChain(prisma: PrismaClient): Promise<AuditChainReport> {
  const problems: string[] = [];
  let rows = 0;
  let seq = 0n;
  let hash = GENESIS_HASH;
  for (;;) {
    const batch = await prisma.auditLog.findMany({ where: { seq: { gt: seq } }, orderBy: { seq: 'asc' }, take: BATCH_ROWS });
    for (const row of batch) {
      rows++;
      if (row.seq !== seq + 1n) problems.push(`rows ${seq + 1n} to ${row.seq - 1n} are missing`);
      const prevHash = Buffer.from(row.prevHash);
      if (!prevHash.equals(hash)) problems.push(`row ${row.seq} does not follow from the row before it`);
      if (!linkHash(prevHash, row).equals(Buffer.from(row.hash))) problems.push(`row ${row.seq} was changed`);
      seq = row.seq;
      hash = Buffer.from(row.hash);
      if (problems.length >= PROBLEMS_MAX) return { rows, problems };
    }
    if (batch.length < BATCH_ROWS) return { rows, problems };
  }
}
