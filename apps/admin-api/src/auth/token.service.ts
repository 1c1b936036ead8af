import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { createHash } from 'node:crypto';
import type { Principal } from '../http/principal.js';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';

export const TOKEN_ISSUER = 'open-model-gateway-admin';
export const TOKEN_AUDIENCE = 'open-model-gateway-admin-api';
/** The only algorithm that is signed with and accepted. */
export const TOKEN_ALGORITHM = 'HS256';

interface Claims {
  iss: string;
  aud: string;
  sub: string;
  typ: 'access' | 'refresh' | 'download';
  jti: string;
  iat: number;
  exp: number;
}

export interface AccessClaims extends Claims {
  typ: 'access';
  email: string;
  /** The login (token family) that it belongs to: logging out ends its access tokens as well. */
  sid: string;
}

export interface RefreshClaims extends Claims {
  typ: 'refresh';
}

/** Names one address and the credential on whose behalf it is read; it is of no use for anything else. */
export interface DownloadClaims extends Claims {
  typ: 'download';
  /** The login, or the admin API token, that asked for the link. */
  sid?: string;
  tid?: string;
  /** SHA-256 of path and query. */
  adr: string;
}

/** Long enough to open a tab, too short to be found in a history or a proxy's log. */
export const DOWNLOAD_LINK_TTL_MS = 60_000;

export interface IssuedToken {
  token: string;
  expiresAt: Date;
}

/** Signs and checks the two kinds of session tokens; whether a session still lives is the session service's question. */
@Injectable()
export class TokenService {
  constructor(
    private readonly jwt: JwtService,
    @Inject(AUTH_SETTINGS) private readonly settings: AuthSettings,
  ) {}

  access(user: { id: string; email: string }, sessionId: string, tokenId: string, nowMs: number): IssuedToken {
    const iat = Math.floor(nowMs / 1000);
    const exp = iat + Math.ceil(this.settings.accessTokenTtlMs / 1000);
    const claims: AccessClaims = { ...this.common(user.id, tokenId, iat, exp), typ: 'access', email: user.email, sid: sessionId };
    return { token: this.sign(claims), expiresAt: new Date(exp * 1000) };
  }

  /**
   * The text of a stored refresh token. The same row always gives the same text, so that the successor can be handed out
   * again within the grace time although only its hash is stored.
   */
  refresh(userId: string, row: { id: string; createdAt: Date; expiresAt: Date }): IssuedToken {
    const iat = Math.floor(row.createdAt.getTime() / 1000);
    const exp = Math.floor(row.expiresAt.getTime() / 1000);
    const claims: RefreshClaims = { ...this.common(userId, row.id, iat, exp), typ: 'refresh' };
    return { token: this.sign(claims), expiresAt: new Date(exp * 1000) };
  }

  /** For the address `target`, path and query, on behalf of the caller. */
  download(caller: Principal, target: string, tokenId: string, nowMs: number): IssuedToken {
    const iat = Math.floor(nowMs / 1000);
    const exp = iat + DOWNLOAD_LINK_TTL_MS / 1000;
    const who = caller.tokenId === undefined ? { sid: caller.sessionId! } : { tid: caller.tokenId };
    const claims: DownloadClaims = { ...this.common(caller.userId, tokenId, iat, exp), typ: 'download', ...who, adr: addressHash(target) };
    return { token: this.sign(claims), expiresAt: new Date(exp * 1000) };
  }

  /** Undefined for anything but an unexpired token for exactly this address. */
  verifyDownload(token: string, target: string): DownloadClaims | undefined {
    const claims = this.verify<DownloadClaims>(token, 'download');
    return claims?.adr === addressHash(target) ? claims : undefined;
  }

  /** Undefined for anything but an unexpired refresh token of ours. */
  verifyRefresh(token: string): RefreshClaims | undefined {
    return this.verify<RefreshClaims>(token, 'refresh');
  }

  private verify<T extends Claims>(token: string, typ: T['typ']): T | undefined {
    try {
      const claims = this.jwt.verify<T>(token, {
        secret: this.settings.jwtSecret,
        algorithms: [TOKEN_ALGORITHM],
        issuer: TOKEN_ISSUER,
        audience: TOKEN_AUDIENCE,
      });
      return claims.typ === typ ? claims : undefined;
    } catch {
      return undefined;
    }
  }

  private common(sub: string, jti: string, iat: number, exp: number): Omit<Claims, 'typ'> {
    return { iss: TOKEN_ISSUER, aud: TOKEN_AUDIENCE, sub, jti, iat, exp };
  }

  private sign(claims: AccessClaims | RefreshClaims | DownloadClaims): string {
    return this.jwt.sign(claims, { secret: this.settings.jwtSecret, algorithm: TOKEN_ALGORITHM });
  }
}

const addressHash = (target: string): string => createHash('sha256').update(target).digest('base64url');

export function tokenHash(token: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(token).digest());
}
