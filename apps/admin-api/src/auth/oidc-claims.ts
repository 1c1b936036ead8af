import type { OidcSettings } from './auth.settings.js';

/** Why a verified identity may not sign in; the slug that the browser is sent back with. */
export type OidcRefusal = 'email_missing' | 'email_not_verified' | 'domain_not_allowed' | 'role_not_allowed';

/** Every slug with which a sign-in can end. */
export type OidcFailure = OidcRefusal | 'invalid_state' | 'access_denied' | 'provider_error' | 'provider_unavailable' | 'sign_in_failed' | 'account_conflict';

export interface OidcProfile {
  /** Lower case, verified. */
  email: string;
  name: string;
  /** Undefined when `admin_roles` is not configured: the flag is then left alone. */
  isSuperAdmin: boolean | undefined;
}

/** The order is the contract's: verified mail, then domain, then roles. */
export function readProfile(claims: Record<string, unknown>, settings: OidcSettings): OidcProfile | { refused: OidcRefusal } {
  const email = typeof claims.email === 'string' ? claims.email.trim().toLowerCase() : '';
  if (!/^[^@\s]+@[^@\s]+$/.test(email) || email.length > 320) return { refused: 'email_missing' };
  // Some providers write the flag as text. Anything else, absence included, is not verified.
  if (claims.email_verified !== true && claims.email_verified !== 'true') return { refused: 'email_not_verified' };
  const domain = email.slice(email.lastIndexOf('@') + 1);
  if (settings.allowedDomains.length > 0 && !settings.allowedDomains.includes(domain)) return { refused: 'domain_not_allowed' };
  const roles = settings.rolesClaim ? readRoles(claims[settings.rolesClaim]) : [];
  if (settings.allowedRoles.length > 0 && !roles.some((role) => settings.allowedRoles.includes(role))) return { refused: 'role_not_allowed' };
  const name = [claims.name, claims.preferred_username].find((value): value is string => typeof value === 'string' && value.trim() !== '');
  return {
    email,
    name: (name?.trim() ?? email).slice(0, 256),
    isSuperAdmin: settings.adminRoles.length > 0 ? roles.some((role) => settings.adminRoles.includes(role)) : undefined,
  };
}

const ROLES_MAX = 1_000;

/** Text (comma-separated too), a list of texts, or `{role: true}`; lower-cased. */
export function readRoles(claim: unknown): string[] {
  let roles: unknown[] = [];
  if (typeof claim === 'string') roles = claim.split(',');
  else if (Array.isArray(claim)) roles = claim;
  else if (claim !== null && typeof claim === 'object')
    roles = Object.entries(claim)
      .filter(([, held]) => held === true)
      .map(([role]) => role);
  return roles
    .slice(0, ROLES_MAX)
    .filter((role): role is string => typeof role === 'string')
    .map((role) => role.trim().toLowerCase())
    .filter((role) => role !== '');
}
