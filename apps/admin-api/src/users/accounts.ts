import type { PrismaTx } from '@omg/database';
import { revokeFamilies } from '../auth/session.service.js';
import { newId } from '../new-id.js';
import type { UserRow } from './user-body.js';

/** Making accounts, for the admin routes, the first OIDC login and the bootstrap alike. All run in the caller's transaction. */
export interface NewAccount {
  /** Lower case. */
  email: string;
  name: string;
  isSuperAdmin?: boolean;
  bootstrapped?: boolean;
  /** Argon2id; absent: an account without local login. */
  passwordHash?: string;
  /** A tenant's owner chose the password, and so knows it. */
  chosenByOwner?: boolean;
}

/** Makes a user with his personal tenant. The caller has made sure that the mail is free; the constraint has the last word. */
export async function createAccount(tx: PrismaTx, account: NewAccount): Promise<UserRow> {
  const user = await tx.user.create({
    data: { id: newId(), email: account.email, name: account.name, isSuperAdmin: account.isSuperAdmin ?? false, bootstrapped: account.bootstrapped ?? false },
  });
  if (account.passwordHash !== undefined) await setPasswordHash(tx, user.id, account.passwordHash, account.chosenByOwner);
  return ensurePersonalTenant(tx, user);
}

/** One password credential per user. */
export async function setPasswordHash(tx: PrismaTx, userId: string, passwordHash: string, chosenByOwner = false): Promise<void> {
  const { count } = await tx.credential.updateMany({ where: { userId, kind: 'password' }, data: { passwordHash, chosenByOwner } });
  if (count === 0) await tx.credential.create({ data: { id: newId(), userId, kind: 'password', passwordHash, chosenByOwner } });
}

/**
 * Takes the account away from the owner who chose its password, if one did: the password, and what was made with it, sessions and admin
 * API tokens. Returns whether there was one.
 */
export async function endOwnersPassword(tx: PrismaTx, userId: string): Promise<boolean> {
  const { count } = await tx.credential.deleteMany({ where: { userId, kind: 'password', chosenByOwner: true } });
  if (count === 0) return false;
  await revokeFamilies(tx, { userId }, 'password_reset');
  await tx.adminToken.updateMany({ where: { userId, revokedAt: null }, data: { revokedAt: new Date() } });
  return true;
}

/**
 * The tenant `personal:<user id>` that every account owns; its models are the default models, read live. Accounts older than their
 * personal tenant get it at their next login. Triggers of the schema tell the projector.
 */
export async function ensurePersonalTenant(tx: PrismaTx, user: UserRow): Promise<UserRow> {
  if (user.personalTenantId !== null) return user;
  const tenant = await tx.tenant.create({
    data: { id: newId(), name: `personal:${user.id}`, kind: 'personal', memberships: { create: { userId: user.id, role: 'owner' } } },
  });
  return tx.user.update({ where: { id: user.id }, data: { personalTenantId: tenant.id } });
}
