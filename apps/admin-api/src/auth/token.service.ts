import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { createHash } from 'node:crypto';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';

export const TOKEN_ISSUER = 'open-model-gateway-admin';
export const TOKEN_AUDIENCE = 'open-model-gateway-admin-api';
/** The only algorithm that is signed with and accepted. */
export const TOKEN_ALGORITHM = 'HS256';

interface Claims {
  iss: string;
  aud: string;
  sub: string;
  typ: 'access' | 'refresh';
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

  /** Undefined for anything but an unexpired refresh token of ours. */
  verifyRefresh(token: string): RefreshClaims | undefined {
    try {
      const claims = this.jwt.verify<RefreshClaims>(token, {
        secret: this.settings.jwtSecret,
        algorithms: [TOKEN_ALGORITHM],
        issuer: TOKEN_ISSUER,
        audience: TOKEN_AUDIENCE,
      });
      return claims.typ === 'refresh' ? claims : undefined;
    } catch {
      return undefined;
    }
  }

  private common(sub: string, jti: string, iat: number, exp: number): Omit<Claims, 'typ'> {
    return { iss: TOKEN_ISSUER, aud: TOKEN_AUDIENCE, sub, jti, iat, exp };
  }

  private sign(claims: AccessClaims | RefreshClaims): string {
    return this.jwt.sign(claims, { secret: this.settings.jwtSecret, algorithm: TOKEN_ALGORITHM });
  }
}

export function tokenHash(token: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(token).digest());
}
