import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JwtService } from '@nestjs/jwt';
import { ROLES, type Role } from '@omg/domain';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { RouteRules, type RouteRule } from './route-rules.js';

/**
 * Walks every route of the app, with rules read from the app itself: a new route is walked as soon as it exists, and one
 * without a rule keeps the app from starting (route-rules.test.ts).
 */
const ROUTES = `
GET /: public
GET /admin: public
GET /admin/auth/methods: public
GET /admin/auth/oidc/callback: public
GET /admin/auth/oidc/start: public
GET /admin/docs: public
GET /admin/openapi.json: public
GET /admin/ui/auth/oidc/callback: public
POST /admin/auth/login: public
POST /admin/auth/logout: public
POST /admin/auth/refresh: public

GET /admin/auth/me: signed_in
POST /admin/downloads: signed_in
GET /admin/tokens: signed_in
POST /admin/tokens: signed_in
DELETE /admin/tokens/:tokenId: signed_in
GET /admin/usage/user/daily: signed_in

GET /admin/budgets/alerts: any:viewer
GET /admin/budgets/history: any:viewer
GET /admin/budgets/overrides: any:viewer
GET /admin/model-catalog: any:viewer
GET /admin/model-catalog/:alias/prices: any:viewer
GET /admin/model-catalog/status: any:viewer
GET /admin/providers: any:viewer
GET /admin/routing/explain: any:viewer
GET /admin/routing/incidents: any:viewer
GET /admin/settings/default-models: any:viewer
GET /admin/settings/rate-limits: any:viewer
GET /admin/tenants: any:viewer
GET /admin/usage/anomalies: any:viewer
GET /admin/usage/api-keys: any:viewer
GET /admin/usage/breakdown: any:viewer
GET /admin/usage/compare: any:viewer
GET /admin/usage/model/daily: any:viewer
GET /admin/usage/requests: any:viewer
GET /admin/usage/summary: any:viewer
GET /admin/usage/tenant/daily: any:viewer
GET /admin/api-keys: any:admin
GET /admin/audit/logs: any:admin
GET /admin/budgets/default: any:admin
GET /admin/users: any:admin
GET /admin/users/:userId/tenants: any:admin

GET /admin/tenants/:tenantId: tenant:viewer
GET /admin/tenants/:tenantId/api-keys: tenant:viewer
GET /admin/tenants/:tenantId/api-keys/:keyId: tenant:viewer
GET /admin/tenants/:tenantId/api-keys/:keyId/usage: tenant:viewer
GET /admin/tenants/:tenantId/budget: tenant:viewer
GET /admin/tenants/:tenantId/models: tenant:viewer
GET /admin/tenants/:tenantId/rate-limits: tenant:viewer
GET /admin/tenants/:tenantId/memberships: tenant:admin
POST /admin/tenants/:tenantId/api-keys: tenant:admin
PATCH /admin/tenants/:tenantId/api-keys/:keyId: tenant:admin
DELETE /admin/tenants/:tenantId/api-keys/:keyId: tenant:admin
POST /admin/tenants/:tenantId/api-keys/:keyId/rotate: tenant:admin
PATCH /admin/tenants/:tenantId: tenant:owner
PATCH /admin/tenants/:tenantId/status: tenant:owner
PUT /admin/tenants/:tenantId/budget: tenant:owner
DELETE /admin/tenants/:tenantId/budget: tenant:owner
PUT /admin/tenants/:tenantId/models: tenant:owner
DELETE /admin/tenants/:tenantId/models: tenant:owner
PUT /admin/tenants/:tenantId/rate-limits: tenant:owner
DELETE /admin/tenants/:tenantId/rate-limits: tenant:owner
POST /admin/tenants/:tenantId/memberships: tenant:owner
DELETE /admin/tenants/:tenantId/memberships/:userId: tenant:owner
PUT /admin/budgets/overrides/:tenantId: tenant:owner
DELETE /admin/budgets/overrides/:tenantId: tenant:owner

PUT /admin/budgets/default: super_admin
POST /admin/model-catalog: super_admin
DELETE /admin/model-catalog/:alias: super_admin
POST /admin/model-catalog/:alias/test: super_admin
GET /admin/settings/alerts: super_admin
PUT /admin/settings/alerts: super_admin
POST /admin/settings/alerts/test-email: super_admin
GET /admin/settings/batches: super_admin
PUT /admin/settings/batches: super_admin
POST /admin/settings/default-models: super_admin
DELETE /admin/settings/default-models/:alias: super_admin
GET /admin/settings/files: super_admin
PUT /admin/settings/files: super_admin
PUT /admin/settings/rate-limits: super_admin
POST /admin/tenants: super_admin
GET /admin/tenants/personal: super_admin
POST /admin/users: super_admin
POST /admin/users/:userId/password: super_admin
`;

let fixture: AdminAppFixture;
let rules: RouteRule[];
let own: string;
let other: string;
let expired: string;
const tokens = new Map<Role | 'super' | 'stranger' | 'outsider', string>();

beforeAll(async () => {
  fixture = await startAdminApp();
  rules = fixture.app.get(RouteRules).list();
  own = await fixture.tenant('own');
  other = await fixture.tenant('other');
  for (const role of ROLES) await fixture.user(`${role}@example.com`, { memberships: { [own]: role } });
  await fixture.user('outsider@example.com', { memberships: { [other]: 'owner' } });
  await fixture.user('stranger@example.com');
  await fixture.user('super@example.com', { superAdmin: true });
  for (const name of [...ROLES, 'super', 'stranger', 'outsider'] as const) tokens.set(name, await fixture.signIn(`${name}@example.com`));
  const jwt = new JwtService({});
  const claims = jwt.decode(tokens.get('super')!) as Record<string, unknown>;
  expired = jwt.sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }, { secret: 'a test secret of more than 32 bytes' });
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const name = (rule: RouteRule): string => `${rule.method} ${rule.path}`;

function pathOf(rule: RouteRule, tenantId = own): string {
  const tenantParam = rule.permission.rule.startsWith('tenant:') ? (rule.permission.param ?? 'tenantId') : undefined;
  return rule.path.replace(/:(\w+)/g, (_match, param: string) => (param === tenantParam ? tenantId : randomUUID()));
}

const send = (rule: RouteRule, token: string | undefined, path = pathOf(rule)) =>
  fixture.call(rule.method, path, { ...(token !== undefined && { token }), ...(rule.method !== 'GET' && rule.method !== 'DELETE' && { body: {} }) });

const roleOf = (rule: RouteRule): Role => rule.permission.rule.split(':')[1] as Role;
const below = (role: Role): Role | undefined => ROLES[ROLES.indexOf(role) - 1];
const guarded = (): RouteRule[] => rules.filter((rule) => rule.permission.rule !== 'public');

describe('every route of the admin API', () => {
  it('asks for the role that this list says, so that none is opened to more people unseen', () => {
    const listed = ROUTES.split('\n').filter((line) => line !== '');
    expect(rules.map((rule) => `${name(rule)}: ${rule.permission.rule}`).sort()).toEqual(listed.sort());
  });

  it('answers 401 without a credential, and with a wrong or expired one, with the same text', async () => {
    const texts = new Set<string>();
    for (const rule of guarded()) {
      for (const token of [undefined, 'wrong', expired, `oat_${'x'.repeat(43)}`]) {
        const answer = await send(rule, token);
        expect([name(rule), answer.status]).toEqual([name(rule), 401]);
        texts.add(answer.text);
      }
    }
    expect(texts.size).toBe(1);
  });

  it('answers 403 to a lower role, and to people without any organization', async () => {
    const audited = await fixture.prisma.auditLog.count();
    for (const rule of guarded()) {
      if (rule.permission.rule === 'signed_in') continue;
      const lower = rule.permission.rule === 'super_admin' ? 'owner' : below(roleOf(rule));
      for (const who of [lower, 'stranger'] as const) {
        if (who === undefined) continue;
        const answer = await send(rule, tokens.get(who));
        expect([name(rule), who, answer.status, answer.json?.code]).toEqual([name(rule), who, 403, 'forbidden']);
      }
    }
    expect(await fixture.prisma.auditLog.count()).toBe(audited);
  });

  it("answers another tenant's id exactly like one that does not exist", async () => {
    for (const rule of guarded()) {
      if (rule.permission.rule.startsWith('tenant:')) {
        const foreign = await send(rule, tokens.get('outsider'), pathOf(rule, own));
        const missing = await send(rule, tokens.get('outsider'), pathOf(rule, randomUUID()));
        expect([name(rule), foreign.status]).toEqual([name(rule), 403]);
        expect([name(rule), missing.status, missing.text]).toEqual([name(rule), foreign.status, foreign.text]);
      }
      if (rule.permission.tenantQuery !== undefined) {
        const foreign = await send(rule, tokens.get('outsider'), `${pathOf(rule)}?${rule.permission.tenantQuery}=${own}`);
        const missing = await send(rule, tokens.get('outsider'), `${pathOf(rule)}?${rule.permission.tenantQuery}=${randomUUID()}`);
        expect([name(rule), foreign.status, missing.text]).toEqual([name(rule), 403, foreign.text]);
      }
    }
  });

  it('tells a super admin that a tenant does not exist, and everybody that an id is malformed', async () => {
    for (const rule of guarded().filter(({ permission }) => permission.rule.startsWith('tenant:'))) {
      expect([name(rule), (await send(rule, tokens.get('super'), pathOf(rule, randomUUID()))).status]).toEqual([name(rule), 404]);
      for (const bad of ['1', 'not-a-uuid', '%00', "'%20OR%201=1--"]) {
        const answer = await send(rule, tokens.get('super'), pathOf(rule, bad));
        expect([name(rule), bad, answer.status]).toEqual([name(rule), bad, 400]);
      }
    }
  });

  it('lets who is allowed past the guard', async () => {
    for (const rule of guarded()) {
      const answer = await send(rule, tokens.get('super'));
      expect([name(rule), [401, 403, 500].includes(answer.status)]).toEqual([name(rule), false]);
      if (!rule.permission.rule.startsWith('tenant:')) continue;
      const member = await send(rule, tokens.get(roleOf(rule)));
      expect([name(rule), member.status === 401 || member.json?.code === 'forbidden']).toEqual([name(rule), false]);
    }
  });
});

describe('a query parameter that a route does not have', () => {
  it('is a 400 that names it on every route, and changes nothing', async () => {
    const audited = await fixture.prisma.auditLog.count();
    for (const rule of guarded()) {
      const answer = await send(rule, tokens.get('super'), `${pathOf(rule)}?form=2026-01-01`);
      expect([name(rule), answer.status, answer.json?.code, String(answer.json?.error).split(';')[0]]).toEqual([
        name(rule),
        400,
        'invalid_request',
        'form: no such query parameter',
      ]);
    }
    expect(await fixture.prisma.auditLog.count()).toBe(audited);
  });

  it('is answered with those that there are, and to nobody who may not call the route', async () => {
    const ask = (path: string, token?: string) => fixture.call('GET', path, token === undefined ? {} : { token });
    expect((await ask('/admin/users?limt=5&Q=x', tokens.get('super'))).json.error).toBe('limt, Q: no such query parameter; there are: limit, offset, q');
    expect((await ask(`/admin/providers?${'x'.repeat(500)}=1`, tokens.get('super'))).json.error).toBe(
      `${'x'.repeat(64)}: no such query parameter; there are none`,
    );
    expect((await ask('/admin/users?limt=5')).status).toBe(401);
    expect((await ask('/admin/users?limt=5', tokens.get('viewer'))).status).toBe(403);
  });

  it('may be there where others choose the address: the way back from an OpenID provider', async () => {
    expect((await fixture.call('GET', '/admin/auth/oidc/callback?state=x&code=y&session_state=z')).json.code).toBe('method_disabled');
    expect((await fixture.call('GET', '/admin/auth/oidc/start?return=/admin')).json.error).toMatch(/^return: no such query parameter/);
  });
});

describe('hostile input', () => {
  it('is refused with a clear 4xx on every route that takes a body, and changes nothing', async () => {
    const audited = await fixture.prisma.auditLog.count();
    const bodies: [string, string][] = [
      ['{', 'not JSON'],
      ['{"__proto__":{"isSuperAdmin":true},"name":1,"email":1}', '__proto__'],
      ['{"constructor":{"prototype":{"x":1}},"name":1,"email":1}', 'constructor'],
      ['null', 'null'],
      ['[]', 'a list'],
      [`{"email":${JSON.stringify('a@b.c\u0000')},"name":${JSON.stringify('x\u0000')},"password":7,"role":"god"}`, 'NUL and wrong types'],
      [`{"name":"${'x'.repeat(2_000_000)}"}`, 'huge'],
    ];
    for (const rule of guarded().filter(({ method }) => method !== 'GET' && method !== 'DELETE')) {
      for (const [body, what] of bodies) {
        const answer = await fixture.call(rule.method, pathOf(rule), { token: tokens.get('super')!, body });
        expect([name(rule), what, answer.status >= 400 && answer.status < 500]).toEqual([name(rule), what, true]);
        expect(typeof answer.json?.error).toBe('string');
      }
    }
    expect(await fixture.prisma.auditLog.count()).toBe(audited);
    expect(({} as Record<string, unknown>)['isSuperAdmin']).toBeUndefined();
  });
});
