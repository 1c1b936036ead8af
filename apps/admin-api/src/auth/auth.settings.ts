import type { ConfigOf } from '@omg/service-kit';

/** What signing in needs of the configuration. Durations in ms. */
export interface AuthSettings {
  jwtSecret: string;
  accessTokenTtlMs: number;
  refreshTokenTtlMs: number;
  cookieName: string;
  localEnabled: boolean;
  /** Undefined: OIDC is off. */
  oidc?: OidcSettings;
}

export interface OidcSettings {
  issuer: string;
  clientId: string;
  clientSecret: string;
  redirectUrl: string;
  scopes: string[];
  /** Lower case; empty: all. */
  allowedDomains: string[];
  httpTimeoutMs: number;
  /** Empty: roles are not read. */
  rolesClaim: string;
  allowedRoles: string[];
  adminRoles: string[];
}

export const AUTH_SETTINGS = Symbol('AUTH_SETTINGS');

export function authSettings({ admin }: ConfigOf<'admin'>): AuthSettings {
  const { session, oidc } = admin;
  const lower = (values: string[]): string[] => values.map((value) => value.trim().toLowerCase()).filter((value) => value !== '');
  return {
    jwtSecret: session.jwtSecret,
    accessTokenTtlMs: session.accessTokenTtlMs,
    refreshTokenTtlMs: session.refreshTokenTtlMs,
    cookieName: session.cookieName,
    localEnabled: admin.local.enabled,
    ...(oidc.enabled && {
      oidc: {
        issuer: oidc.issuer,
        clientId: oidc.clientId,
        clientSecret: oidc.clientSecret,
        redirectUrl: oidc.redirectUrl,
        scopes: oidc.scopes,
        allowedDomains: lower(oidc.allowedDomains).map((domain) => domain.replace(/^@/, '')),
        httpTimeoutMs: oidc.httpTimeoutMs,
        rolesClaim: oidc.rolesClaim,
        allowedRoles: lower(oidc.allowedRoles),
        adminRoles: lower(oidc.adminRoles),
      },
    }),
  };
}
