import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { DOWNLOAD_TOKEN_PARAM } from '@omg/contracts';
import type { FastifyRequest } from 'fastify';
import passport, { type Strategy as PassportStrategyObject, type StrategyCreated } from 'passport';
import { ExtractJwt, Strategy as JwtBaseStrategy } from 'passport-jwt';
import type { Principal } from '../http/principal.js';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';
import { PrincipalLoader } from './principal.loader.js';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TokenService, type AccessClaims } from './token.service.js';

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

/**
 * Links that download one report: the address as it was signed, and its token as the last parameter. Only addresses of
 * downloads are ever signed. Who asked for the link is loaded as for his other calls, so that lost rights are lost here too.
 */
@Injectable()
export class DownloadLinkStrategy {
  constructor(loader: PrincipalLoader, tokens: TokenService) {
    const load = async (request: Pick<FastifyRequest, 'method' | 'url'>): Promise<Principal | undefined> => {
      const [, target, token] = DOWNLOAD_LINK.exec(request.url) ?? [];
      if (request.method !== 'GET' || target === undefined || token === undefined) return undefined;
      const claims = tokens.verifyDownload(token, target);
      if (!claims) return undefined;
      return claims.tid === undefined ? loader.ofSession(claims.sub, claims.sid!) : loader.ofAdminToken({ id: claims.tid });
    };
    passport.use('download-link', {
      authenticate(this: StrategyCreated<PassportStrategyObject>, request: FastifyRequest): void {
        load(request).then(
          (principal) => (principal ? this.success(principal) : this.fail()),
          (error: unknown) => this.error(error),
        );
      },
    } as unknown as PassportStrategyObject);
  }
}

const DOWNLOAD_LINK = new RegExp(`^(.+)&${DOWNLOAD_TOKEN_PARAM}=([A-Za-z0-9_.-]{1,2048})$`);
