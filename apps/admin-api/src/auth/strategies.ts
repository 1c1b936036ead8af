import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import passport, { type Strategy as PassportStrategyObject, type StrategyCreated } from 'passport';
import { ExtractJwt, Strategy as JwtBaseStrategy } from 'passport-jwt';
import type { Principal } from '../http/principal.js';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';
import { PrincipalLoader } from './principal.loader.js';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, type AccessClaims } from './token.service.js';

export const ADMIN_TOKEN_PREFIX = 'oat_';
const TOKEN_CHARS_MAX = 512;

/** Access tokens of people: signature, algorithm, issuer, audience, expiry by passport-jwt; kind, user and session here. */
@Injectable()
export class JwtStrategy extends PassportStrategy(JwtBaseStrategy, 'jwt') {
  constructor(
    @Inject(AUTH_SETTINGS) settings: AuthSettings,
    private readonly loader: PrincipalLoader,
  ) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: settings.jwtSecret,
      algorithms: [TOKEN_ALGORITHM],
      issuer: TOKEN_ISSUER,
      audience: TOKEN_AUDIENCE,
      ignoreExpiration: false,
    });
  }

  async validate(claims: Partial<AccessClaims>): Promise<Principal | false> {
    if (claims.typ !== 'access' || typeof claims.sub !== 'string' || typeof claims.sid !== 'string') return false;
    return (await this.loader.ofSession(claims.sub, claims.sid)) ?? false;
  }
}

/** Bearer tokens of the form `oat_...`: random, stored as a hash, looked up at every call. */
@Injectable()
export class AdminTokenStrategy {
  constructor(loader: PrincipalLoader) {
    passport.use('admin-token', {
      authenticate(this: StrategyCreated<PassportStrategyObject>, request: { headers: FastifyRequest['headers'] }): void {
        const token = bearerAdminToken(request.headers.authorization);
        if (token === undefined) return this.fail();
        loader.ofAdminToken(token).then(
          (principal) => (principal ? this.success(principal) : this.fail()),
          (error: unknown) => this.error(error),
        );
      },
    } as PassportStrategyObject);
  }
}

function bearerAdminToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > TOKEN_CHARS_MAX) return undefined;
  return /^bearer +(oat_[A-Za-z0-9_-]{20,100})$/i.exec(header.trim())?.[1];
}
