import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.js';

/**
 * The audit log's hash chain: `hash = SHA-256(prevHash, canonical JSON of the row)`. A changed, removed or inserted row
 * breaks every later link. The user's id is left out because it becomes null when the user goes; the e-mail stays.
 */
export interface HashedRow {
  seq: bigint;
  id: string;
  userEmail: string | null;
  tenantId: string | null;
  action: string;
  resource: string;
  resourceId: string;
  metadata: unknown;
  createdAt: Date;
}

export const GENESIS_HASH = Buffer.alloc(32);

/** The link of one row. Field order is fixed by the canonical form. */
export function linkHash(prevHash: Uint8Array, row: HashedRow): Buffer {
  const { seq, id, userEmail, tenantId, action, resource, resourceId, metadata, createdAt } = row;
  const body = canonicalJson({ seq: seq.toString(), id, userEmail, tenantId, action, resource, resourceId, metadata, createdAt: createdAt.toISOString() });
  return createHash('sha256').update(prevHash).update(body).digest();
}
