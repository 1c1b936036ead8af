import { uuidV7, canonicalJson, GENESIS_HASH, linkHash } from '@omg/domain';
import { ADVISORY_LOCKS, type Prisma, type PrismaTx } from '@omg/database';
import { randomBytes } from 'node:crypto';
import { changedFields, withoutSecrets } from './redact.js';

/**
 * The audit log: one row per change, written in the transaction of the change, so that neither exists without the other.
 *
 * Rows form a hash chain (see `linkHash`), with gapless numbers given under an advisory lock that lasts until the
 * transaction ends. A changed, removed or inserted row breaks every later link, which `./omg verify` finds.
 *
 * Call `audit` last in a transaction: the lock serialises all audited changes, so whatever follows it holds them up, and
 * a row lock taken after it could deadlock with a transaction that took that row first.
 */
export interface AuditActor {
  userId?: string;
  email?: string;
  via?: 'session' | 'token' | 'bootstrap' | 'system';
  tokenId?: string;
}

export interface AuditEntry {
  actor: AuditActor;
  /** `<resource>.<verb>`, as the contract's tables list them. */
  action: string;
  resource: string;
  resourceId: string;
  tenantId?: string;
  /** State around the change: only fields that differ are kept. Secrets are dropped by name, whatever is handed in. */
  before?: object | null;
  after?: object | null;
  /** What else helps to understand the change. */
  metadata?: object;
}

export async function audit(tx: PrismaTx, entry: AuditEntry): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.space}::int, ${ADVISORY_LOCKS.audit}::int)`;
  const [head] = await tx.$queryRaw<{ seq: bigint; hash: Uint8Array; now: Date }[]>`
    SELECT coalesce(l.seq, 0) AS seq, coalesce(l.hash, ${GENESIS_HASH}) AS hash, date_trunc('milliseconds', clock_timestamp()) AS now
    FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT seq, hash FROM audit_logs ORDER BY seq DESC LIMIT 1) l ON true`;
  const createdAt = head!.now;
  const row = {
    seq: head!.seq + 1n,
    id: uuidV7(createdAt.getTime(), randomBytes(10)),
    userEmail: entry.actor.email ?? null,
    tenantId: entry.tenantId ?? null,
    action: entry.action,
    resource: entry.resource,
    resourceId: entry.resourceId,
    metadata: auditMetadata(entry),
    createdAt,
  };
  const prevHash = Buffer.from(head!.hash);
  await tx.auditLog.create({
    data: {
      ...row,
      metadata: row.metadata as Prisma.InputJsonObject,
      userId: entry.actor.userId ?? null,
      prevHash,
      hash: Uint8Array.from(linkHash(prevHash, row)),
    },
  });
}

function auditMetadata(entry: AuditEntry): object {
  const { before, after } = changedFields(entry.before, entry.after);
  const via = entry.actor.via === 'token' ? { via: 'token', token_id: entry.actor.tokenId } : entry.actor.via ? { via: entry.actor.via } : {};
  // A round trip through JSON leaves exactly what the column will give back, so that the hash can be checked later.
  return JSON.parse(canonicalJson(withoutSecrets({ ...entry.metadata, ...(before && { before }), ...(after && { after }), ...via }))) as object;
}
