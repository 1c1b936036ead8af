import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type TokenResponse } from '@omg/contracts';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { userBody, type UserRow } from '../users/user-body.js';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';
import { tokenHash, TokenService } from './token.service.js';

/**
 * Sessions: a login makes a family of refresh tokens; each refresh replaces the family's token.
 *
 * Only hashes are stored. A token that was replaced more than `GRACE_MS` ago is reuse: somebody holds a copy, so the
 * whole family is revoked and whoever holds the newest token must sign in again. Within the grace time the same successor
 * is handed out once more, because tabs share a token and refresh at the same moment.
 */
const GRACE_MS = 30_000;

export interface IssuedSession {
  response: TokenResponse;
  refreshToken: string;
  refreshExpiresAt: Date;
}

interface TokenRow {
  id: string;
  familyId: string;
  createdAt: Date;
  expiresAt: Date;
}

type RefreshOutcome = { ok: true; user: UserRow; token: TokenRow } | { ok: false };

@Injectable()
export class SessionService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly tokens: TokenService,
    @Inject(AUTH_SETTINGS) private readonly settings: AuthSettings,
  ) {}

  /** Opens a family inside the caller's transaction; the answer is built once it has committed. */
  async open(tx: PrismaTx, userId: string, method: 'local' | 'oidc'): Promise<TokenRow> {
    const nowMs = await databaseNowMs(tx);
    const family = await tx.refreshTokenFamily.create({ data: { id: newId(), userId, method } });
    return this.addToken(tx, userId, family.id, nowMs);
  }

  issue(user: UserRow, token: TokenRow, method: 'local' | 'refresh'): IssuedSession {
    const access = this.tokens.access(user, token.familyId, newId(), Date.now());
    const refresh = this.tokens.refresh(user.id, token);
    const response: TokenResponse = {
      access_token: access.token,
      access_expires_at: access.expiresAt.toISOString(),
      refresh_token: refresh.token,
      refresh_expires_at: refresh.expiresAt.toISOString(),
      method,
      user: userBody(user),
    };
    return { response, refreshToken: refresh.token, refreshExpiresAt: refresh.expiresAt };
  }

  async refresh(refreshToken: string): Promise<IssuedSession> {
    const claims = this.tokens.verifyRefresh(refreshToken);
    if (!claims) throw new AdminError('invalid_refresh_token');
    // The outcome is returned, not thrown, inside the transaction: a revocation must be committed.
    const outcome = await this.prisma.$transaction((tx) => this.rotate(tx, refreshToken));
    if (!outcome.ok) throw new AdminError('invalid_refresh_token');
    return this.issue(outcome.user, outcome.token, 'refresh');
  }

  /** Idempotent: an unknown or ended session is already what the caller wants. */
  async logout(refreshToken: string): Promise<void> {
    if (!this.tokens.verifyRefresh(refreshToken)) return;
    await this.prisma.$transaction(async (tx) => {
      const row = await tx.refreshToken.findUnique({ where: { tokenHash: tokenHash(refreshToken) }, include: { family: { include: { user: true } } } });
      if (!row) return;
      const { user } = row.family;
      const ended = await revokeFamilies(tx, { id: row.familyId }, 'logout');
      if (ended > 0)
        await audit(tx, { actor: { userId: user.id, email: user.email, via: 'session' }, action: 'auth.logout', resource: 'user', resourceId: user.id });
    });
  }

  private async rotate(tx: PrismaTx, refreshToken: string): Promise<RefreshOutcome> {
    const hash = tokenHash(refreshToken);
    // The row lock makes parallel refreshes of one token queue up here: the first rotates, the others find its successor.
    const [locked] = await tx.$queryRaw<
      { id: string; now: Date }[]
    >`SELECT id, clock_timestamp() AS now FROM refresh_tokens WHERE token_hash = ${hash} FOR UPDATE`;
    if (!locked) return { ok: false };
    const row = await tx.refreshToken.findUniqueOrThrow({ where: { id: locked.id }, include: { family: { include: { user: true } } } });
    const { family } = row;
    const nowMs = locked.now.getTime();
    if (family.revokedAt || row.expiresAt.getTime() <= nowMs) return { ok: false };
    if (row.rotatedAt === null) {
      const token = await this.addToken(tx, family.userId, family.id, nowMs);
      await tx.refreshToken.update({ where: { id: row.id }, data: { rotatedAt: locked.now, successorId: token.id } });
      return { ok: true, user: family.user, token };
    }
    const successor = row.successorId === null ? null : await tx.refreshToken.findUnique({ where: { id: row.successorId } });
    const inGrace = nowMs - row.rotatedAt.getTime() <= GRACE_MS;
    if (inGrace && successor && successor.rotatedAt === null) return { ok: true, user: family.user, token: successor };
    await revokeFamilies(tx, { id: family.id }, 'reuse');
    await audit(tx, {
      actor: { userId: family.userId, email: family.user.email, via: 'session' },
      action: 'auth.refresh_reuse',
      resource: 'user',
      resourceId: family.userId,
    });
    return { ok: false };
  }

  private async addToken(tx: PrismaTx, userId: string, familyId: string, nowMs: number): Promise<TokenRow> {
    // Whole seconds, as in the token's claims: the stored row must give the same text every time.
    const createdAt = new Date(Math.floor(nowMs / 1000) * 1000);
    const expiresAt = new Date(createdAt.getTime() + Math.ceil(this.settings.refreshTokenTtlMs / 1000) * 1000);
    const row = { id: newId(), familyId, createdAt, expiresAt };
    await tx.refreshToken.create({ data: { ...row, tokenHash: tokenHash(this.tokens.refresh(userId, row).token) } });
    return row;
  }
}

/** Ends sessions: all of a user's, or one family. Answers how many were still open. */
export async function revokeFamilies(tx: PrismaTx, where: { userId: string } | { id: string }, reason: string): Promise<number> {
  const { count } = await tx.refreshTokenFamily.updateMany({ where: { ...where, revokedAt: null }, data: { revokedAt: new Date(), revokedReason: reason } });
  return count;
}

async function databaseNowMs(tx: PrismaTx): Promise<number> {
  const [row] = await tx.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  return row!.now.getTime();
}
