import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, addCleanup } from '@omg/testkit';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

const REDIRECT = 'http://localhost:18081/admin/auth/oidc/callback';
const BROWSER_COOKIE = 'og_admin_session_oidc';
const SESSION_COOKIE = 'og_admin_session';
let fixture: AdminAppFixture;
let issuer: string;

async function startProvider(): Promise<string> {
  const child = spawn(process.execPath, ['src/testing/oidc-provider.process.ts', REDIRECT], { cwd: 'apps/admin-api', stdio: ['ignore', 'pipe', 'ignore'] });
  addCleanup(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }, child.pid);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return line;
}

beforeAll(async () => {
  issuer = await startProvider();
  fixture = await startAdminApp({
    environment: {
      ROUTER_ADMIN_OIDC_ENABLED: 'true',
      ROUTER_ADMIN_OIDC_ISSUER: issuer,
      ROUTER_ADMIN_OIDC_CLIENT_ID: 'gateway',
      ROUTER_ADMIN_OIDC_CLIENT_SECRET: 'gateway-secret',
      ROUTER_ADMIN_OIDC_REDIRECT_URL: REDIRECT,
      ROUTER_ADMIN_OIDC_HTTP_TIMEOUT: '60s',
      ROUTER_ADMIN_OIDC_ALLOWED_DOMAINS: 'Example.com',
      ROUTER_ADMIN_OIDC_ROLES_CLAIM: 'groups',
      ROUTER_ADMIN_OIDC_ALLOWED_ROLES: 'gateway-users,gateway-admins',
      ROUTER_ADMIN_OIDC_ADMIN_ROLES: 'Gateway-Admins',
    },
  });
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

interface Claims {
  sub: string;
  email?: string;
  email_verified?: unknown;
  name?: string;
  groups?: unknown;
}

const person = (changes: Partial<Claims> = {}): Claims => {
  const sub = randomUUID();
  return { sub, email: `${sub}@example.com`, email_verified: true, name: 'Ada', groups: ['gateway-users'], ...changes };
};

interface Started {
  authUrl: URL;
  state: string;
  cookie: string;
}

async function start(returnTo?: string): Promise<Started> {
  const answer = await fixture.call('GET', `/admin/auth/oidc/start${returnTo === undefined ? '' : `?return_to=${encodeURIComponent(returnTo)}`}`);
  expect(answer.status).toBe(200);
  const setCookie = String(answer.headers['set-cookie']);
  expect(setCookie).toMatch(/HttpOnly.*SameSite=Lax|SameSite=Lax.*HttpOnly/);
  return { authUrl: new URL(answer.json.auth_url), state: answer.json.state, cookie: setCookie.split(';')[0]! };
}

/** A browser at the provider: follows its redirects with its cookies until it is sent back to us. */
async function signInAtProvider(authUrl: URL, claims: Claims): Promise<URL> {
  const url = new URL(authUrl);
  url.searchParams.set('login_hint', Buffer.from(JSON.stringify(claims)).toString('base64url'));
  const jar = new Map<string, string>();
  let next = url.toString();
  for (let hop = 0; hop < 10 && !next.startsWith(REDIRECT); hop++) {
    const response = await fetch(next, { redirect: 'manual', headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0]!.split('=');
      jar.set(name!, value!);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`the provider answered ${response.status}: ${await response.text()}`);
    next = new URL(location, next).toString();
  }
  return new URL(next);
}

const callback = (query: string, cookie?: string) => fixture.call('GET', `/admin/auth/oidc/callback?${query}`, { headers: cookie ? { cookie } : {} });

async function login(claims: Claims) {
  const started = await start();
  const back = await signInAtProvider(started.authUrl, claims);
  return callback(back.search.slice(1), started.cookie);
}

/** Signs in with the session cookie of the answer, as the browser client does. */
async function sessionOf(answer: Awaited<ReturnType<typeof callback>>) {
  const cookie = [answer.headers['set-cookie']]
    .flat()
    .map(String)
    .find((line) => line.startsWith(`${SESSION_COOKIE}=`))!;
  return fixture.call('POST', '/admin/auth/refresh', { headers: { cookie: cookie.split(';')[0]! } });
}

describe('sign-in at an OpenID provider', () => {
  it('begins with PKCE, state and nonce, and ends with a session cookie and a redirect by 303', async () => {
    const started = await start('/admin/ui/somewhere?tab=1');
    const { searchParams } = started.authUrl;
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    expect(searchParams.get('nonce')!.length).toBeGreaterThanOrEqual(43);
    expect(searchParams.get('state')).toBe(started.state);
    const claims = person();
    const back = await signInAtProvider(started.authUrl, claims);
    const answer = await callback(back.search.slice(1), started.cookie);
    expect([answer.status, answer.headers['location']]).toEqual([303, '/admin/ui/somewhere?tab=1&status=success']);
    const session = await sessionOf(answer);
    expect(session.json.user).toMatchObject({ email: claims.email, name: 'Ada', is_super_admin: false });
    expect(session.json.user.personal_tenant_id).toBeDefined();
    const stored = await fixture.prisma.credential.findMany({ where: { userId: session.json.user.id } });
    expect(stored).toMatchObject([{ kind: 'oidc', issuer, subject: claims.sub, passwordHash: null }]);
    expect((await fixture.call('GET', '/admin/auth/methods')).json.methods).toEqual(['local', 'oidc']);
  });

  it('finds the same account again by issuer and subject, also after the mail changed', async () => {
    const claims = person();
    const first = (await sessionOf(await login(claims))).json.user;
    const second = (await sessionOf(await login({ ...claims, email: `new-${claims.email}` }))).json.user;
    expect(second.id).toBe(first.id);
  });

  it('links an existing account by its verified mail, without touching its password', async () => {
    const claims = person();
    const user = await fixture.user(claims.email!);
    const session = await sessionOf(await login({ ...claims, email: claims.email!.toUpperCase() }));
    expect(session.json.user.id).toBe(user.id);
    await fixture.signIn(claims.email!);
  });

  it('takes an account away from the owner who had chosen its password', async () => {
    const tenantId = await fixture.tenant();
    const owner = await fixture.user(`owner-${tenantId}@example.com`, { memberships: { [tenantId]: 'owner' } });
    const claims = person({ groups: ['gateway-admins', 'gateway-users'] });
    const password = 'chosen-by-the-owner';
    const invitation = { email: claims.email, role: 'user', password };
    expect((await fixture.call('POST', `/admin/tenants/${tenantId}/memberships`, { token: await fixture.signIn(owner.email), body: invitation })).status).toBe(
      201,
    );
    const logIn = () => fixture.call('POST', '/admin/auth/login', { body: { email: claims.email, password } });
    const before = await logIn();
    expect(before.status).toBe(200);
    const token = await fixture.call('POST', '/admin/tokens', { token: before.json.access_token, body: { name: 'kept' } });
    expect(token.status).toBe(201);

    const session = await sessionOf(await login(claims));
    expect(session.json.user).toMatchObject({ email: claims.email, is_super_admin: true });
    expect((await logIn()).status).toBe(401);
    expect((await fixture.call('POST', '/admin/auth/refresh', { body: { refresh_token: before.json.refresh_token } })).status).toBe(401);
    for (const kept of [token.json.token, before.json.access_token]) expect((await fixture.call('GET', '/admin/auth/me', { token: kept })).status).toBe(401);
    const audited = await fixture.prisma.auditLog.findFirstOrThrow({
      where: { action: 'auth.login', resourceId: session.json.user.id },
      orderBy: { seq: 'desc' },
    });
    expect(audited.metadata).toMatchObject({ method: 'oidc', password_ended: true });
    // One that a super admin chooses stays.
    const chosen = { token: session.json.access_token, body: { password: 'chosen-by-a-super-admin' } };
    expect((await fixture.call('POST', `/admin/users/${session.json.user.id}/password`, chosen)).status).toBe(204);
    await login(claims);
    expect((await fixture.call('POST', '/admin/auth/login', { body: { email: claims.email, password: 'chosen-by-a-super-admin' } })).status).toBe(200);
  });

  it('does not give an account to another subject that has its mail now', async () => {
    const claims = person();
    await login(claims);
    const answer = await login({ ...claims, sub: randomUUID() });
    expect(answer.headers['location']).toContain('error=account_conflict');
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  it.each([
    ['an unverified mail', { email_verified: false }, 'email_not_verified'],
    ['a mail without the flag', { email_verified: undefined }, 'email_not_verified'],
    ['no mail', { email: undefined }, 'email_missing'],
    ['a foreign domain', { email: 'a@example.com.evil.org' }, 'domain_not_allowed'],
    ['no allowed role', { groups: ['others'] }, 'role_not_allowed'],
    ['no roles at all', { groups: undefined }, 'role_not_allowed'],
  ])('refuses %s, and makes nothing', async (_name, changes, slug) => {
    const users = await fixture.prisma.user.count();
    const answer = await login(person(changes));
    expect([answer.status, answer.headers['location']]).toEqual([303, `/admin/ui/auth/oidc/callback?error=${slug}`]);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(await fixture.prisma.user.count()).toBe(users);
  });

  it.each([
    ['a list', ['x', 'GATEWAY-ADMINS']],
    ['text', 'a, gateway-admins'],
    ['a map', { 'gateway-admins': true, other: false }],
  ])('reads roles from %s and makes a super admin of who has the admin role, and takes it back', async (_name, groups) => {
    const claims = person({ groups });
    expect((await sessionOf(await login(claims))).json.user.is_super_admin).toBe(true);
    expect((await sessionOf(await login({ ...claims, groups: ['gateway-users'] }))).json.user.is_super_admin).toBe(false);
  });

  it('never demotes a bootstrapped super admin', async () => {
    const claims = person();
    const user = await fixture.user(claims.email!, { superAdmin: true });
    await fixture.prisma.user.update({ where: { id: user.id }, data: { bootstrapped: true } });
    expect((await sessionOf(await login(claims))).json.user.is_super_admin).toBe(true);
  });
});

describe('what is kept of a sign-in', () => {
  it('is no token of the provider, nowhere', async () => {
    const started = await start();
    const claims = person();
    const back = await signInAtProvider(started.authUrl, claims);
    await callback(back.search.slice(1), started.cookie);
    const stored = JSON.stringify([
      await fixture.prisma.credential.findMany({ where: { subject: claims.sub } }),
      await fixture.prisma.user.findMany({ where: { email: claims.email! } }),
      (await fixture.prisma.auditLog.findMany({ where: { userEmail: claims.email! } })).map((row) => row.metadata),
    ]);
    expect(stored).toContain(claims.sub);
    // Tokens of the provider are JWTs or opaque codes; neither is there.
    expect(stored).not.toMatch(/eyJ[A-Za-z0-9_-]{10,}/);
    expect(stored).not.toContain(back.searchParams.get('code'));
  });

  it('is one account, also when its first two sign-ins come at once', async () => {
    const claims = person();
    const begun = [await start(), await start()];
    const back = await Promise.all(begun.map((started) => signInAtProvider(started.authUrl, claims)));
    const answers = await Promise.all(begun.map((started, index) => callback(back[index]!.search.slice(1), started.cookie)));
    for (const answer of answers) expect(answer.headers['location']).toContain('status=success');
    expect(await fixture.prisma.user.count({ where: { email: claims.email! } })).toBe(1);
    expect(await fixture.prisma.credential.count({ where: { subject: claims.sub } })).toBe(1);
  });
});

describe('attacks on the sign-in', () => {
  it('a callback works once: replayed, its state is gone', async () => {
    const started = await start();
    const back = await signInAtProvider(started.authUrl, person());
    expect((await callback(back.search.slice(1), started.cookie)).headers['location']).toContain('status=success');
    const again = await callback(back.search.slice(1), started.cookie);
    expect([again.status, again.headers['location']]).toEqual([303, '/admin/ui/auth/oidc/callback?error=invalid_state']);
    expect(again.headers['set-cookie']).toBeUndefined();
  });

  it('a callback that comes many times at once is taken once, and the provider is asked once', async () => {
    const started = await start();
    const back = await signInAtProvider(started.authUrl, person());
    const answers = await Promise.all(Array.from({ length: 8 }, () => callback(back.search.slice(1), started.cookie)));
    const outcomes = answers.map(({ headers }) => /(status|error)=\w+/.exec(String(headers['location']))?.[0]).sort();
    expect(outcomes).toEqual([...Array.from({ length: 7 }, () => 'error=invalid_state'), 'status=success']);
  });

  it('a code that was used is refused by the provider, also under a fresh state', async () => {
    const first = await start();
    const back = await signInAtProvider(first.authUrl, person());
    await callback(back.search.slice(1), first.cookie);
    const second = await start();
    back.searchParams.set('state', second.state);
    const answer = await callback(back.search.slice(1), second.cookie);
    expect(answer.headers['location']).toContain('error=sign_in_failed');
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  it('a code of somebody else fails on PKCE', async () => {
    const victim = await start();
    const attacker = await start();
    const back = await signInAtProvider(attacker.authUrl, person());
    back.searchParams.set('state', victim.state);
    expect((await callback(back.search.slice(1), victim.cookie)).headers['location']).toContain('error=sign_in_failed');
  });

  it('an ID token with another nonce is refused', async () => {
    const started = await start();
    started.authUrl.searchParams.set('nonce', 'x'.repeat(43));
    const back = await signInAtProvider(started.authUrl, person());
    expect((await callback(back.search.slice(1), started.cookie)).headers['location']).toContain('error=sign_in_failed');
  });

  it('an answer of another issuer is refused', async () => {
    const other = await startProvider();
    const started = await start();
    const elsewhere = new URL(started.authUrl);
    elsewhere.host = new URL(other).host;
    const back = await signInAtProvider(elsewhere, person());
    expect(back.searchParams.get('iss')).toBe(other);
    expect((await callback(back.search.slice(1), started.cookie)).headers['location']).toContain('error=sign_in_failed');
  });

  it('a browser that did not begin the sign-in cannot finish it', async () => {
    const started = await start();
    const back = await signInAtProvider(started.authUrl, person());
    const without = await callback(back.search.slice(1));
    expect(without.headers['location']).toContain('error=invalid_state');
    const foreign = await callback(back.search.slice(1), `${BROWSER_COOKIE}=${'x'.repeat(43)}`);
    expect(foreign.headers['location']).toContain('error=invalid_state');
    expect(foreign.headers['set-cookie']).toBeUndefined();
  });

  it('no state is 400; the provider’s error text never reaches the redirect', async () => {
    expect((await callback('code=x')).status).toBe(400);
    const started = await start();
    const answer = await callback(`state=${started.state}&error=server_error&error_description=secret+internals`, started.cookie);
    expect(answer.headers['location']).toBe('/admin/ui/auth/oidc/callback?error=provider_error');
  });

  it.each(['https://evil.example/', '//evil.example', '/\\evil.example', '/admin/../../evil', '/elsewhere', 'admin', '/admin\u0000', '/adminx'])(
    'return_to %j is refused',
    async (returnTo) => {
      expect((await fixture.call('GET', `/admin/auth/oidc/start?return_to=${encodeURIComponent(returnTo)}`)).status).toBe(400);
    },
  );
});

describe('a provider that calls itself something else', () => {
  it('than the configured issuer is not signed in at', async () => {
    const elsewhere = await startAdminApp({
      environment: {
        ROUTER_ADMIN_OIDC_ENABLED: 'true',
        // The same provider under another name: its discovery document says who it is.
        ROUTER_ADMIN_OIDC_ISSUER: issuer.replace('localhost', '127.0.0.1'),
        ROUTER_ADMIN_OIDC_CLIENT_ID: 'gateway',
        ROUTER_ADMIN_OIDC_CLIENT_SECRET: 'gateway-secret',
        ROUTER_ADMIN_OIDC_REDIRECT_URL: REDIRECT,
      },
    });
    const answer = await elsewhere.call('GET', '/admin/auth/oidc/start');
    expect([answer.status, answer.json.code]).toEqual([503, 'unavailable']);
    await elsewhere.close();
  });
});

describe('a provider that cannot be reached', () => {
  it('keeps nothing from starting; the sign-in answers 503', async () => {
    const lonely = await startAdminApp({
      environment: {
        ROUTER_ADMIN_OIDC_ENABLED: 'true',
        ROUTER_ADMIN_OIDC_ISSUER: 'http://localhost:9',
        ROUTER_ADMIN_OIDC_CLIENT_ID: 'gateway',
        ROUTER_ADMIN_OIDC_CLIENT_SECRET: 'gateway-secret',
        ROUTER_ADMIN_OIDC_REDIRECT_URL: REDIRECT,
        ROUTER_ADMIN_LOCAL_ENABLED: 'false',
      },
    });
    const answer = await lonely.call('GET', '/admin/auth/oidc/start');
    expect([answer.status, answer.json.code]).toEqual([503, 'unavailable']);
    const local = await lonely.call('POST', '/admin/auth/login', { body: { email: 'a@b.c', password: 'x' } });
    expect([local.status, local.json.code]).toEqual([404, 'method_disabled']);
    await lonely.close();
  });
});
