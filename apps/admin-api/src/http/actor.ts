import type { AuditActor } from '../audit/audit.js';
import type { Principal } from './principal.js';

/** The caller as the audit log names him. */
export function actorOf(principal: Principal): AuditActor {
  return { userId: principal.userId, email: principal.email, via: principal.via, ...(principal.tokenId && { tokenId: principal.tokenId }) };
}
