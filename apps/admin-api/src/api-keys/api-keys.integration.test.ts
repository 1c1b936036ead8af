import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hashApiKeySecret, parseBearerApiKey } from '@omg/domain';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

const PEPPER = 'a test pepper of more than thirty-two bytes';
let app: AdminAppFixture;
let root: string;
let admin: string;
let viewer: string;
let tenantId: string;
let foreign: string;

beforeAll(async () => {
  app = await startAdminApp({ environment: { ROUTER_SECRETS_API_KEY_PEPPER: PEPPER } });
  tenantId = await app.tenant();
  foreign = await app.tenant();
  await app.user('root@example.com', { superAdmin: true });
  await app.user('admin@example.com', { memberships: { [tenantId]: 'admin' } });
  await app.user('viewer@example.com', { memberships: { [tenantId]: 'viewer' } });
  [root, admin, viewer] = [await app.signIn('root@example.com'), await app.signIn('admin@example.com'), await app.signIn('viewer@example.com')];
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});

const keys = (tenant = tenantId) => `/admin/tenants/${tenant}/api-keys`;
const make = (body: object = {}, token = admin) => app.call('POST', keys(), { token, body: { name: 'k', ...body } });
const on = (method: string, id: string, rest = '', body?: object, headers?: Record<string, string>) =>
  app.call(method, `${keys()}/${id}${rest}`, { token: admin, body, headers });
const matches = async (id: string, token: string, at: 'current' | 'previous' = 'current') => {
  const row = await app.prisma.apiKey.findUniqueOrThrow({ where: { id } });
  const digest = at === 'current' ? row.secretDigest : row.previousDigest;
  return digest !== null && hashApiKeySecret(PEPPER, parseBearerApiKey(`Bearer ${token}`)!.secret).equals(digest);
};

describe('making a key', () => {
  it('201: shows secret and token once, stores only a digest', async () => {
    const { status, json, text } = await make({
      scopes: ['chat', 'chat'],
      quota: { budget_usd: 2.5, warning_threshold: 0 },
      rate_limits: { requests_per_minute: 5, tokens_per_minute: 0, parallel_requests: 2 },
    });
    expect(status).toBe(201);
    expect(json.token).toMatch(/^sk-[A-Za-z0-9]{10}\.[A-Za-z0-9]{48}$/);
    expect(json.token).toBe(`sk-${json.api_key.prefix}.${json.secret}`);
    expect(json.api_key).toMatchObject({
      scopes: ['chat'],
      quota: { budget_usd: 2.5 },
      rate_limits: {
        key: { requests_per_minute: 5, tokens_per_minute: 1_000_000, parallel_requests: 2 },
        tenant: { requests_per_minute: 1000, parallel_requests: 100 },
      },
      revoked: false,
      expired: false,
      issuer: { type: 'tenant' },
    });
    expect(await matches(json.api_key.id, json.token)).toBe(true);
    const everything = JSON.stringify([await app.call('GET', keys(), { token: viewer }), await app.prisma.auditLog.findMany({ select: { metadata: true } })]);
    expect(everything).not.toContain(json.secret);
    expect(text).not.toContain('digest');
  });

  it('200: lists newest first; across tenants only those that the caller administers', async () => {
    const { json } = await make({ name: 'newest' });
    expect((await app.call('GET', keys(), { token: viewer })).json.api_keys[0].name).toBe('newest');
    const other = await app.call('POST', keys(foreign), { token: root, body: { name: 'foreign' } });
    const ids = async (token: string) => (await app.call('GET', '/admin/api-keys', { token })).json.api_keys.map((key: any) => key.id);
    expect(await ids(root)).toEqual(expect.arrayContaining([json.api_key.id, other.json.api_key.id]));
    expect(await ids(admin)).not.toContain(other.json.api_key.id);
    expect((await app.call('GET', '/admin/api-keys', { token: viewer })).status).toBe(403);
  });

  it.each([
    [{ name: '' }],
    [{ name: 'x'.repeat(129) }],
    [{ scopes: ['everything'] }],
    [{ quota: { budget_usd: -1 } }],
    [{ quota: { budget_usd: 100.01 } }],
    [{ quota: { budget_cents: 10_001 } }],
    [{ quota: { warning_threshold: 1.5 } }],
    [{ rate_limits: { requests_per_minute: 1001 } }],
    [{ rate_limits: { parallel_requests: 1.5 } }],
    [{ expires_at: '2001-01-01T00:00:00Z' }],
    [{ expires_at: 'tomorrow' }],
  ])('400: %j', async (body) => {
    const before = await app.prisma.apiKey.count();
    expect((await make(body)).status).toBe(400);
    expect(await app.prisma.apiKey.count()).toBe(before);
  });

  it('cannot be talked into other fields', async () => {
    const { json } = await make({
      id: randomUUID(),
      tenant_id: foreign,
      prefix: 'mine',
      secret: 'x',
      revoked: true,
      owner_user_id: randomUUID(),
      __proto__: { polluted: true },
    });
    expect(json.api_key).toMatchObject({ tenant_id: tenantId, revoked: false });
    expect(json.api_key.prefix).not.toBe('mine');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('reads a quota in cents', async () => {
    expect((await make({ quota: { budget_cents: 1234 } })).json.api_key.quota).toEqual({ budget_usd: 12.34 });
  });
});

describe('changing a key', () => {
  it('200: changes what is named, leaves the rest, takes away with null', async () => {
    const { id } = (await make({ quota: { budget_usd: 1 }, rate_limits: { requests_per_minute: 5 } })).json.api_key;
    expect((await on('PATCH', id, '', { name: 'renamed' })).json).toMatchObject({ name: 'renamed', quota: { budget_usd: 1 }, version: 2 });
    const answer = (await on('PATCH', id, '', { quota: null, rate_limits: null, expires_at: '2099-01-01T00:00:00Z' })).json;
    expect(answer.quota).toBeUndefined();
    expect(answer).toMatchObject({ rate_limits: { key: { requests_per_minute: 1000 } }, expires_at: '2099-01-01T00:00:00.000Z' });
    expect((await on('PATCH', id, '', { expires_at: null })).json.expires_at).toBeNull();
  });

  it('200: rotates the secret with a grace period for the old one, or at once', async () => {
    const made = (await make()).json;
    const { id } = made.api_key;
    const rotated = (await on('POST', id, '/rotate', { grace_seconds: 3600 })).json;
    expect(rotated.api_key.prefix).toBe(made.api_key.prefix);
    expect([await matches(id, rotated.token), await matches(id, made.token, 'previous')]).toEqual([true, true]);
    expect(Date.parse(rotated.api_key.previous_secret_valid_until) - Date.now()).toBeGreaterThan(3_500_000);
    const again = (await on('POST', id, '/rotate')).json;
    expect(await matches(id, again.token)).toBe(true);
    expect(again.api_key.previous_secret_valid_until).toBeUndefined();
    expect((await app.prisma.apiKey.findUniqueOrThrow({ where: { id } })).previousDigest).toBeNull();
    expect((await on('POST', id, '/rotate', { grace_seconds: 604_801 })).status).toBe(400);
  });

  it('200: revokes once; a second call answers the same and writes nothing', async () => {
    const { id } = (await make()).json.api_key;
    const first = await on('DELETE', id);
    expect([first.status, first.json.revoked]).toEqual([200, true]);
    expect((await on('DELETE', id)).json).toEqual(first.json);
    expect(await app.prisma.auditLog.count({ where: { resourceId: id, action: 'api_key.revoke' } })).toBe(1);
    for (const [method, rest] of [
      ['PATCH', ''],
      ['POST', '/rotate'],
    ] as const)
      expect((await on(method, id, rest, {})).json.code).toBe('conflict');
  });

  it('404: a key of another tenant is not found, and not touched', async () => {
    const { id } = (await app.call('POST', keys(foreign), { token: root, body: { name: 'foreign' } })).json.api_key;
    for (const [method, rest] of [
      ['GET', ''],
      ['PATCH', ''],
      ['POST', '/rotate'],
      ['DELETE', ''],
    ] as const) {
      const [other, missing] = [
        await on(method, id, rest, method === 'PATCH' ? { name: 'x' } : undefined),
        await on(method, randomUUID(), rest, method === 'PATCH' ? { name: 'x' } : undefined),
      ];
      expect([other.status, other.text]).toEqual([404, missing.text]);
    }
    expect((await app.prisma.apiKey.findUniqueOrThrow({ where: { id } })).revokedAt).toBeNull();
  });

  it('403 for viewers; 409 for a change based on an older version', async () => {
    const { id, version } = (await make()).json.api_key;
    expect((await app.call('DELETE', `${keys()}/${id}`, { token: viewer })).status).toBe(403);
    const both = await Promise.all(['a', 'b'].map((name) => on('PATCH', id, '', { name }, { 'if-match': `"${version}"` })));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);
  });

  it('belongs to its maker in a personal tenant', async () => {
    const user = await app.user(`p-${randomUUID()}@example.com`);
    const token = await app.signIn(user.email);
    const { json } = await app.call('POST', keys(user.personalTenantId!), { token, body: { name: 'mine' } });
    expect(json.api_key).toMatchObject({ tenant_name: 'Personal', issuer: { type: 'personal', label: user.email } });
    expect((await app.prisma.apiKey.findUniqueOrThrow({ where: { id: json.api_key.id } })).ownerUserId).toBe(user.id);
  });
});
