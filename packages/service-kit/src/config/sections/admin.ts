import { z } from 'zod';
import { durationOf, flag, leaf, list, longDuration, positiveDuration, text } from '../fields.js';
import { listenAddress } from './server.js';

const session = z.object({
  jwt_secret: leaf(z.string().default(''), { about: 'Signs access tokens; at least 32 bytes.', secret: true, example: '${ROUTER_ADMIN_SESSION_JWT_SECRET:-}' }),
  access_token_ttl: leaf(longDuration().default(durationOf('15m')), { about: 'Life of an access token.' }),
  refresh_token_ttl: leaf(longDuration().default(durationOf('24h')), { about: "Life of a refresh token; longer than the access token's." }),
  cookie_name: leaf(
    text()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be a cookie name')
      .default('og_admin_session'),
    { about: 'Refresh cookie.' },
  ),
});

const oidc = z.object({
  enabled: leaf(flag().default(false), { about: 'Login through an OpenID Connect provider.' }),
  issuer: leaf(text().default(''), { about: 'Issuer URL; discovered when it is first needed.', example: 'https://login.example.com/realms/main' }),
  client_id: leaf(text().default(''), { about: 'Client id.', example: 'open-model-gateway' }),
  client_secret: leaf(z.string().trim().default(''), { about: 'Client secret.', secret: true }),
  redirect_url: leaf(text().default(''), { about: '`<host>/admin/auth/oidc/callback`.', example: 'https://gateway.example.com/admin/auth/oidc/callback' }),
  scopes: leaf(list().default(['openid', 'email', 'profile']), { about: 'Scopes to ask for.' }),
  allowed_domains: leaf(list().default([]), { about: 'Domains of verified mail addresses that may log in; empty: all.', example: ['example.com'] }),
  http_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Discovery, token, userinfo and keys.' }),
  roles_claim: leaf(text().default(''), { about: 'Claim with the roles; empty: roles are not read.', example: 'groups' }),
  allowed_roles: leaf(list().default([]), { about: 'Roles that may log in; empty: all.', example: ['gateway-users'] }),
  admin_roles: leaf(list().default([]), { about: 'Roles that make a super admin.', example: ['gateway-admins'] }),
});

export const adminSection = z.object({
  listen_addr: leaf(listenAddress().default(':8081'), { about: 'Address of the admin API.' }),
  session,
  local: z.object({ enabled: leaf(flag().default(true), { about: 'Login with mail and password. At least one of local and OIDC must be on.' }) }),
  oidc,
});
