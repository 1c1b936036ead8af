import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import { PASSWORD, startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { SessionSweepJob } from './session-sweep.job.js';

const SECRET = 'a test secret of more than 32 bytes';
const COOKIE = 'og_admin_session';
let fixture: AdminAppFixture;

beforeAll(async () => {
  fixture = await startAdminApp();
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const mail = (): string => `u-${randomUUID()}@example.com`;
const login = (email: string, password = PASSWORD, headers: Record<string, string> = {}) =>
  fixture.call('POST', '/admin/auth/login', { body: { email, password }, headers });
const refresh = (token: string) => fixture.call('POST', '/admin/auth/refresh', { body: { refresh_token: token } });
const me = (token: string) => fixture.call('GET', '/admin/auth/me', { token });
const auditActions = async (userId: string) =>
  (await fixture.prisma.auditLog.findMany({ where: { resourceId: userId }, orderBy: { seq: 'asc' } })).map((row) => row.action);
/** Makes a token look as if it had been exchanged some time ago. */
const ageRotation = (seconds: number) =>
  fixture.prisma.$executeRaw`UPDATE refresh_tokens SET rotated_at = rotated_at - make_interval(secs => ${seconds}) WHERE rotated_at IS NOT NULL`;

describe('local login', () => {
  it('answers both tokens, the user and an HttpOnly cookie, without regard to the case of the mail', async () => {
    const email = mail();
    const user = await fixture.user(email);
    const answer = await login(email.toUpperCase());
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ method: 'local', user: { id: user.id, email, is_super_admin: false, theme_preference: 'system' } });
    expect(new Date(answer.json.access_expires_at).getTime() - Date.now()).toBeGreaterThan(14 * 60_000);
    const cookie = String(answer.headers['set-cookie']);
    expect(cookie).toContain(`${COOKIE}=`);
    expect(cookie).toContain('HttpOnly');
    expect(cookie).toContain('SameSite=Lax');
    expect(cookie).not.toContain('Secure');
    expect(JSON.stringify(answer.json)).not.toMatch(/argon2|password/i);
    expect(await auditActions(user.id)).toEqual(['auth.login']);
  });

  it('marks the cookie Secure on every host but localhost, whatever the socket says', async () => {
    const email = mail();
    await fixture.user(email);
    const answer = await login(email, PASSWORD, { host: 'gateway.example.com' });
    expect(String(answer.headers['set-cookie'])).toContain('Secure');
  });

  it('answers an unknown mail like a wrong password, after the same work, and makes nothing', async () => {
    const email = mail();
    await fixture.user(email);
    const measured = async (address: string) => {
      const before = process.cpuUsage();
      const answer = await login(address, 'wrong password');
      const { user } = process.cpuUsage(before);
      return { answer, workUs: user };
    };
    const wrong = await measured(email);
    const tenants = await fixture.prisma.tenant.count();
    const unknown = await measured(mail());
    expect([wrong.answer.status, unknown.answer.status]).toEqual([401, 401]);
    expect(unknown.answer.json).toEqual(wrong.answer.json);
    expect(unknown.answer.headers['set-cookie']).toBeUndefined();
    expect(await fixture.prisma.tenant.count()).toBe(tenants);
    // Both spend an Argon2 verification; without one, an unknown mail would answer in a tenth of the time.
    expect(unknown.workUs).toBeGreaterThan(wrong.workUs / 4);
  });

  it('makes the personal tenant of an older account when its password is right, not before', async () => {
    const email = mail();
    const { id, personalTenantId } = await fixture.user(email);
    await fixture.prisma.user.update({ where: { id }, data: { personalTenantId: null } });
    await fixture.prisma.tenant.delete({ where: { id: personalTenantId! } });
    const owned = async () => (await fixture.prisma.user.findUniqueOrThrow({ where: { id } })).personalTenantId;
    expect([(await login(email, 'wrong password')).status, await owned()]).toEqual([401, null]);
    expect([(await login(email)).status, typeof (await owned())]).toEqual([200, 'string']);
  });

  it('refuses empty and oversized input with 400', async () => {
    for (const body of [
      {},
      { email: '', password: 'x' },
      { email: 'a@b.c' },
      { email: 'a@b.c', password: '' },
      { email: 'a@b.c', password: 'x'.repeat(300) },
      { email: ['a@b.c'], password: 'x' },
      { email: 'a\u0000@b.c', password: 'x' },
      [],
      'text',
    ]) {
      const answer = await fixture.call('POST', '/admin/auth/login', { body });
      expect([answer.status, typeof answer.json.error]).toEqual([400, 'string']);
    }
  });

  it('answers 429 with Retry-After after five wrong passwords, even sent at once, also for the right password', async () => {
    const email = mail();
    await fixture.user(email);
    const answers = await Promise.all(Array.from({ length: 12 }, () => login(email, 'wrong password')));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(7);
    const blocked = await login(email);
    expect(blocked.status).toBe(429);
    expect(Number(blocked.headers['retry-after'])).toBeGreaterThan(0);
    expect(blocked.json.code).toBe('too_many_attempts');
  });
});

describe('access tokens', () => {
  let token: string;
  let userId: string;
  let email: string;
  beforeAll(async () => {
    email = mail();
    userId = (await fixture.user(email)).id;
    token = await fixture.signIn(email);
  });

  it('are accepted while the session lives', async () => {
    const answer = await me(token);
    expect(answer.status).toBe(200);
    expect(answer.json.user.id).toBe(userId);
  });

  it('are refused with one text when anything about them is wrong', async () => {
    const jwt = new JwtService({});
    const claims = jwt.decode(token) as Record<string, unknown>;
    const sign = (changes: object, options: object = {}) => jwt.sign({ ...claims, ...changes }, { secret: SECRET, algorithm: 'HS256', ...options });
    const unsigned = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${token.split('.')[1]}.`;
    const { refresh_token } = (await login(email)).json;
    const wrong = [
      '',
      'garbage',
      unsigned,
      sign({}, { secret: 'another secret of more than 32 bytes!' }),
      sign({}, { algorithm: 'HS384' }),
      sign({ exp: Math.floor(Date.now() / 1000) - 10 }),
      sign({ iss: 'somebody-else' }),
      sign({ aud: 'somebody-else' }),
      sign({ typ: 'refresh' }),
      sign({ sub: randomUUID() }),
      sign({ sid: randomUUID() }),
      sign({ sid: undefined }),
      refresh_token as string,
      `oat_${'x'.repeat(43)}`,
    ];
    expect((await me(sign({}))).status).toBe(200);
    const texts = new Set<string>();
    for (const value of wrong) {
      const answer = await me(value);
      expect([value.slice(0, 20), answer.status]).toEqual([value.slice(0, 20), 401]);
      texts.add(answer.text);
    }
    expect(texts.size).toBe(1);
    expect((await fixture.call('GET', '/admin/auth/me')).text).toBe([...texts][0]);
    // A cookie is for refreshing only, whatever it holds.
    for (const cookie of [token, refresh_token as string]) {
      const headers = { cookie: `${COOKIE}=${cookie}` };
      expect((await fixture.call('GET', '/admin/auth/me', { headers })).status).toBe(401);
    }
  });

  it('end with the user', async () => {
    const other = mail();
    const user = await fixture.user(other);
    const access = await fixture.signIn(other);
    await fixture.prisma.membership.deleteMany({ where: { userId: user.id } });
    await fixture.prisma.user.delete({ where: { id: user.id } });
    expect((await me(access)).status).toBe(401);
  });
});

describe('refresh', () => {
  it('rotates: the new token works, and the answer carries both again', async () => {
    const email = mail();
    await fixture.user(email);
    const first = (await login(email)).json;
    const second = await refresh(first.refresh_token);
    expect(second.status).toBe(200);
    expect(second.json.method).toBe('refresh');
    expect(second.json.refresh_token).not.toBe(first.refresh_token);
    expect((await me(second.json.access_token)).status).toBe(200);
    expect((await refresh(second.json.refresh_token)).status).toBe(200);
  });

  it('hands the same successor to refreshes in parallel, and the session lives on', async () => {
    const email = mail();
    await fixture.user(email);
    const { refresh_token } = (await login(email)).json;
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(refresh_token)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(new Set(answers.map(({ json }) => json.refresh_token)).size).toBe(1);
    expect((await refresh(answers[0]!.json.refresh_token)).status).toBe(200);
  });

  it('revokes the whole family when a token is used again after the grace time', async () => {
    const email = mail();
    const user = await fixture.user(email);
    const first = (await login(email)).json;
    const second = (await refresh(first.refresh_token)).json;
    await ageRotation(31);
    expect((await refresh(first.refresh_token)).status).toBe(401);
    expect((await refresh(second.refresh_token)).status).toBe(401);
    expect((await me(second.access_token)).status).toBe(401);
    expect(await auditActions(user.id)).toContain('auth.refresh_reuse');
  });

  it('revokes the family when a token is used again after its successor was used, even within the grace time', async () => {
    const email = mail();
    await fixture.user(email);
    const first = (await login(email)).json;
    const second = (await refresh(first.refresh_token)).json;
    const third = (await refresh(second.refresh_token)).json;
    expect((await refresh(first.refresh_token)).status).toBe(401);
    expect((await refresh(third.refresh_token)).status).toBe(401);
  });

  it('stores no token, only hashes', async () => {
    const email = mail();
    await fixture.user(email);
    const { refresh_token } = (await login(email)).json;
    const rows = await fixture.prisma.$queryRaw<{ row: string }[]>`SELECT row_to_json(t)::text AS row FROM refresh_tokens t`;
    expect(rows.every(({ row }) => !row.includes(refresh_token))).toBe(true);
  });

  it('answers 400 without a token and 401 for a foreign one', async () => {
    expect((await fixture.call('POST', '/admin/auth/refresh')).status).toBe(400);
    expect((await refresh('garbage')).status).toBe(401);
  });

  it('takes the token from the cookie, but not for a page of another origin', async () => {
    const email = mail();
    await fixture.user(email);
    const { refresh_token } = (await login(email)).json;
    const cookie = `${COOKIE}=${refresh_token}`;
    const send = (headers: Record<string, string>) => fixture.call('POST', '/admin/auth/refresh', { headers: { cookie, ...headers } });
    expect((await send({ origin: 'https://evil.example' })).json.code).toBe('origin_not_allowed');
    expect((await send({ origin: 'null' })).status).toBe(403);
    expect((await send({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await send({ origin: 'http://localhost' })).status).toBe(200);
    expect((await send({})).status).toBe(200);
  });
});

describe('sessions that are over', () => {
  it('are swept in bounded batches, by several replicas at once; living ones and their reuse detection stay', async () => {
    const [gone, living] = [mail(), mail()];
    const [goneUser, livingUser] = [await fixture.user(gone), await fixture.user(living)];
    await fixture.signIn(gone);
    const first = (await login(living)).json.refresh_token as string;
    const second = (await refresh(first)).json.refresh_token as string;
    // More than one batch of expired tokens in one login, as after weeks of refreshing.
    const family = await fixture.prisma.refreshTokenFamily.findFirstOrThrow({ where: { userId: goneUser.id } });
    await fixture.prisma.$executeRaw`
      INSERT INTO refresh_tokens (id, family_id, token_hash, expires_at)
      SELECT gen_random_uuid(), ${family.id}::uuid, sha256(('expired ' || n)::bytea), now() - make_interval(secs => n) FROM generate_series(1, 2500) n`;
    await fixture.prisma.refreshToken.updateMany({ where: { familyId: family.id }, data: { expiresAt: new Date(Date.now() - 1_000) } });
    const job = fixture.app.get(SessionSweepJob, { strict: false });
    const swept = await Promise.all([job.sweep(), job.sweep(), job.sweep()]);
    expect(swept.reduce((sum, count) => sum + count)).toBe(2_501);
    expect(await fixture.prisma.refreshTokenFamily.count({ where: { userId: goneUser.id } })).toBe(0);
    expect(await fixture.prisma.refreshToken.count({ where: { family: { userId: livingUser.id } } })).toBe(2);
    expect(await job.sweep()).toBe(0);
    expect((await refresh(second)).status).toBe(200);
  });
});

describe('logout and password reset', () => {
  it('logout ends the family at once, access tokens included, and is idempotent', async () => {
    const email = mail();
    const user = await fixture.user(email);
    const { access_token, refresh_token } = (await login(email)).json;
    const out = () => fixture.call('POST', '/admin/auth/logout', { headers: { cookie: `${COOKIE}=${refresh_token}` } });
    const first = await out();
    expect(first.status).toBe(204);
    expect(String(first.headers['set-cookie'])).toMatch(/og_admin_session=;.*Expires=Thu, 01 Jan 1970/);
    expect((await out()).status).toBe(204);
    expect((await fixture.call('POST', '/admin/auth/logout')).status).toBe(204);
    expect((await me(access_token)).status).toBe(401);
    expect((await refresh(refresh_token)).status).toBe(401);
    expect((await auditActions(user.id)).filter((action) => action === 'auth.logout')).toHaveLength(1);
  });

  it('a reset by a super admin sets the password and ends every session of the user', async () => {
    const email = mail();
    const root = mail();
    const user = await fixture.user(email);
    await fixture.user(root, { superAdmin: true });
    const sessions = [(await login(email)).json, (await login(email)).json];
    const token = await fixture.signIn(root);
    const reset = (body: unknown, id = user.id) => fixture.call('POST', `/admin/users/${id}/password`, { token, body });
    expect((await reset({ password: 'short' })).status).toBe(400);
    expect((await reset({ password: 'a new password' }, randomUUID())).status).toBe(404);
    expect((await reset({ password: 'a new password' })).status).toBe(204);
    for (const session of sessions) {
      expect((await me(session.access_token)).status).toBe(401);
      expect((await refresh(session.refresh_token)).status).toBe(401);
    }
    expect((await login(email)).status).toBe(401);
    expect((await login(email, 'a new password')).status).toBe(200);
    const logged = JSON.stringify(await fixture.prisma.auditLog.findMany(), (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    expect(logged).toContain('admin_user.password_reset');
    expect(logged).not.toContain('a new password');
    expect(logged).not.toContain('argon2');
  });
});

describe("a user's admin API tokens after a password reset", () => {
  it('work on, as scripts need them, unless the reset says that they shall end', async () => {
    const email = mail();
    const root = mail();
    const user = await fixture.user(email);
    await fixture.user(root, { superAdmin: true });
    const made = await fixture.call('POST', '/admin/tokens', { token: await fixture.signIn(email), body: { name: 'script' } });
    const token = await fixture.signIn(root);
    const reset = (body: object) => fixture.call('POST', `/admin/users/${user.id}/password`, { token, body: { password: 'a new password', ...body } });
    expect([(await reset({})).status, (await me(made.json.token)).status]).toEqual([204, 200]);
    expect((await reset({ revoke_tokens: 'yes' })).status).toBe(400);
    expect([(await reset({ revoke_tokens: true })).status, (await me(made.json.token)).status]).toEqual([204, 401]);
    const logged = await fixture.prisma.auditLog.findMany({ where: { action: 'admin_user.password_reset', resourceId: user.id }, orderBy: { seq: 'asc' } });
    expect(logged.map(({ metadata }) => (metadata as Record<string, unknown>)['machine_access_ended'])).toEqual([undefined, 1]);
  });
});

describe('accounts', () => {
  it('every account owns one personal tenant, which follows the default models until a super admin restricts it', async () => {
    const user = await fixture.user(mail());
    const tenant = await fixture.prisma.tenant.findUniqueOrThrow({ where: { id: user.personalTenantId! }, include: { memberships: true } });
    expect(tenant).toMatchObject({ name: `personal:${user.id}`, kind: 'personal', status: 'active', modelsRestricted: false });
    expect(tenant.memberships).toMatchObject([{ userId: user.id, role: 'owner' }]);
  });
});
