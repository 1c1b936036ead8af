import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TENANT_SCOPE } from '@omg/database';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

let app: AdminAppFixture;
let root: string;
let owner: string;
let viewer: string;
let tenantId: string;
let ownerPersonal: string;

beforeAll(async () => {
  app = await startAdminApp();
  await app.user('root@example.com', { superAdmin: true });
  ownerPersonal = (await app.user('owner@example.com')).personalTenantId!;
  await app.user('viewer@example.com');
  [root, owner, viewer] = [await app.signIn('root@example.com'), await app.signIn('owner@example.com'), await app.signIn('viewer@example.com')];
  for (const alias of ['small', 'large'])
    await app.prisma.modelAlias.create({
      data: { key: alias, alias, routes: { create: { id: randomUUID(), identity: 'i', source: 'config', provider: 'p', providerModel: 'm' } } },
    });
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});
beforeEach(async () => {
  tenantId = await app.tenant();
  const ids = await app.prisma.user.findMany({ where: { email: { in: ['owner@example.com', 'viewer@example.com'] } } });
  for (const user of ids)
    await app.prisma.membership.create({ data: { tenantId, userId: user.id, role: user.email.startsWith('owner') ? 'owner' : 'viewer' } });
});

const path = (rest = '') => `/admin/tenants/${tenantId}${rest}`;
const as = (token: string) => async (method: string, rest: string, body?: object, headers?: Record<string, string>) =>
  app.call(method, rest.startsWith('/admin') ? rest : path(rest), { token, body, headers });
const byRoot = (method: string, rest: string, body?: object, headers?: Record<string, string>) => as(root)(method, rest, body, headers);
const byOwner = (method: string, rest: string, body?: object, headers?: Record<string, string>) => as(owner)(method, rest, body, headers);
const limits = (requests: number) => ({ requests_per_minute: requests, tokens_per_minute: 0, parallel_requests: 0 });
const auditOf = async (resourceId: string) => (await app.prisma.auditLog.findMany({ where: { resourceId }, orderBy: { seq: 'asc' } })).map((row) => row.action);

describe('tenants', () => {
  it('201: are made by super admins, with real figures at once', async () => {
    const name = `acme ${randomUUID()}`;
    const made = await byRoot('POST', '/admin/tenants', { name: ` ${name} `, status: 'suspended' });
    expect([made.status, made.json]).toEqual([
      201,
      expect.objectContaining({ name, status: 'suspended', budget_limit_usd: 100, budget_used_usd: 0, timezone: 'UTC' }),
    ]);
    expect(await auditOf(made.json.id)).toEqual(['tenant.create']);
    expect((await byOwner('POST', '/admin/tenants', { name: 'x' })).status).toBe(403);
  });

  it('200: lists organizations only, those that the caller may see, with filters and a total', async () => {
    const name = `50%_off ${randomUUID()}`;
    await app.tenant(name);
    const found = await byRoot('GET', `/admin/tenants?q=${encodeURIComponent('50%_OFF')}&limit=1`);
    expect(found.json).toMatchObject({ tenants: [{ name }], total: 1, limit: 1, offset: 0 });
    const own = await byOwner('GET', '/admin/tenants?limit=200');
    expect(own.json.tenants.map((tenant: any) => tenant.id)).toContain(tenantId);
    expect(own.json.tenants.every((tenant: any) => !tenant.name.startsWith('personal:'))).toBe(true);
    expect(own.json.tenants.map((tenant: any) => tenant.name)).not.toContain(name);
    expect((await byRoot('GET', '/admin/tenants/personal')).json.personal_tenants.map((tenant: any) => tenant.tenant_id)).toContain(ownerPersonal);
  });

  it('200: shows what was spent in the running window, also in a rolling one, and in one that no request came in under yet', async () => {
    const quarters = (hoursAgo: number) => new Date(Math.floor((Date.now() - hoursAgo * 3_600_000) / 900_000) * 900_000);
    const rollup = { tenantId, apiKeyId: tenantId, modelAlias: 'm', provider: 'p', requests: 1, inputTokens: 1, outputTokens: 1 };
    for (const [hoursAgo, costNano] of [
      [1, 250_000_000n],
      [47, 500_000_000n],
      [49, 4_000_000_000n],
    ] as const)
      await app.prisma.usageRollup.create({
        data: { ...rollup, bucket: quarters(hoursAgo), cachedInputTokens: 0, reasoningTokens: 0, images: 0, unpriced: 0, costNano },
      });
    const used = async (): Promise<number> => (await byOwner('GET', '')).json.budget_used_usd;
    const month = new Date(`${new Date().toISOString().slice(0, 7)}-01T00:00:00Z`);
    const inMonth = await app.prisma.usageRollup.aggregate({ where: { tenantId, bucket: { gte: month } }, _sum: { costNano: true } });
    expect(await used()).toBe(Number(inMonth._sum.costNano ?? 0n) / 1e9);
    const total = { tenantId, apiKeyId: TENANT_SCOPE, windowId: `calendar_month:${month.toISOString().slice(0, 10)}`, spentNano: 1_500_000_000n };
    await app.prisma.budgetTotal.create({ data: { ...total, windowStart: month, windowEnd: new Date(month.getTime() + 1) } });
    expect(await used()).toBe(1.5);
    await byRoot('PUT', '/budget', { budget_usd: null, refresh_schedule: 'rolling_2d' });
    expect(await used()).toBe(0.75);
    // A window of the same name that began in another timezone is another one.
    await byRoot('DELETE', '/budget');
    await app.prisma.budgetTotal.updateMany({ where: { tenantId }, data: { windowStart: new Date(month.getTime() - 3_600_000) } });
    expect(await used()).toBe(Number(inMonth._sum.costNano ?? 0n) / 1e9);
  });

  it('409: a name that is taken, whatever its case, also by two at once', async () => {
    const name = `Taken-${randomUUID()}`;
    const both = await Promise.all([1, 2].map(() => byRoot('POST', '/admin/tenants', { name })));
    expect(both.map((answer) => answer.status).sort()).toEqual([201, 409]);
    expect((await byRoot('PATCH', '', { name: name.toLowerCase() })).json.code).toBe('name_taken');
  });

  it.each([[{ name: '' }], [{ name: 'x'.repeat(129) }], [{ name: 'Personal:someone' }], [{ name: 7 }], [{ name: 'a', status: 'gone' }], [{}]])(
    '400: %j',
    async (body) => {
      expect((await byRoot('POST', '/admin/tenants', body)).status).toBe(400);
    },
  );

  it('403: a suspension by a super admin is lifted only by one', async () => {
    expect((await byOwner('PATCH', '/status', { status: 'suspended' })).json.status).toBe('suspended');
    expect((await byOwner('PATCH', '/status', { status: 'active' })).json.status).toBe('active');
    await byRoot('PATCH', '/status', { status: 'suspended' });
    expect((await byOwner('PATCH', '/status', { status: 'suspended' })).status).toBe(200);
    expect((await byOwner('PATCH', '/status', { status: 'active' })).status).toBe(403);
    expect((await byRoot('PATCH', '/status', { status: 'active' })).json.status).toBe('active');
  });

  it('200: a personal tenant is shown as "Personal", to its owner and to a super admin', async () => {
    for (const by of [byOwner, byRoot])
      expect((await by('GET', `/admin/tenants/${ownerPersonal}`)).json).toMatchObject({ id: ownerPersonal, name: 'Personal' });
  });

  it('every change is one audit row that holds what was set, and what it was before', async () => {
    const name = `audited ${randomUUID()}`;
    await byOwner('PATCH', '', { name });
    await byOwner('PATCH', '/status', { status: 'suspended' });
    await byOwner('PUT', '/budget', { budget_usd: 7, warning_threshold: 0.5, alert_webhooks: ['https://8.8.8.8/hook?token=hidden'] });
    await byOwner('PUT', '/models', { models: ['small'] });
    await byOwner('PUT', '/rate-limits', limits(4));
    const { logs } = (await byRoot('GET', `/admin/audit/logs?tenant_id=${tenantId}`)).json;
    expect(logs.map((log: any) => [log.action, log.resource, log.resource_id])).toEqual(
      ['tenant.rate_limit.upsert', 'tenant.models.set', 'tenant.budget.upsert', 'tenant.update_status', 'tenant.update_name'].map((action) => [
        action,
        'tenant',
        tenantId,
      ]),
    );
    expect(logs.map((log: any) => log.metadata)).toEqual([
      expect.objectContaining({ ...limits(4), after: limits(4) }),
      expect.objectContaining({ models: ['small'], before: { models: null }, after: { models: ['small'] } }),
      expect.objectContaining({ budget_usd: 7, warning_threshold: 0.5, refresh_schedule: 'calendar_month', alert_emails: [], alert_cooldown_seconds: 3600 }),
      expect.objectContaining({ status: 'suspended', before: { status: 'active' }, after: { status: 'suspended' } }),
      expect.objectContaining({ name, after: { name } }),
    ]);
    expect(JSON.stringify(logs)).not.toContain('hidden');
  });

  it('409: nobody renames or suspends a personal tenant', async () => {
    for (const call of [byOwner, byRoot]) {
      expect((await call('PATCH', `/admin/tenants/${ownerPersonal}`, { name: 'x' })).json.code).toBe('personal_tenant');
      expect((await call('PATCH', `/admin/tenants/${ownerPersonal}/status`, { status: 'suspended' })).json.code).toBe('personal_tenant');
    }
  });

  it('409: of two changes based on the same version one is told that it came second', async () => {
    const { version } = (await byOwner('GET', '')).json;
    const both = await Promise.all(['a', 'b'].map((name) => byOwner('PATCH', '', { name: `${name}-${randomUUID()}` }, { 'if-match': `"${version}"` })));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);
    expect((await byOwner('PATCH', '', { name: 'x' }, { 'if-match': 'soon' })).status).toBe(400);
  });
});

describe('budgets of tenants', () => {
  it('404 without an override, 200 with one whose missing fields follow the default live', async () => {
    expect((await as(viewer)('GET', '/budget')).status).toBe(404);
    const put = await byOwner('PUT', '/budget', { budget_usd: 20, alert_emails: [] });
    expect(put.json).toMatchObject({
      budget_usd: 20,
      warning_threshold: 0.8,
      alert_emails: [],
      inherited: expect.arrayContaining(['warning_threshold', 'alert_webhooks']),
      last_alert_at: null,
      last_alert_level: null,
    });
    await byRoot('PUT', '/admin/budgets/default', {
      default_usd: 100,
      warning_threshold: 0.6,
      refresh_schedule: 'calendar_month',
      alert_emails: ['Ops@Example.com'],
    });
    expect((await as(viewer)('GET', '/budget')).json).toMatchObject({ warning_threshold: 0.6, alert_emails: [] });
    expect((await byOwner('DELETE', '/budget')).status).toBe(204);
    expect((await byOwner('DELETE', '/budget')).status).toBe(404);
    expect(await auditOf(tenantId)).toEqual(['tenant.budget.upsert', 'tenant.budget.delete']);
    await app.prisma.setting.deleteMany();
  });

  it('403: an owner lowers, and raises up to the default, not above it by amount, by window or by enforcement', async () => {
    expect((await byOwner('PUT', '/budget', { budget_usd: 100.01 })).status).toBe(403);
    expect((await byOwner('PUT', '/budget', { budget_usd: 50, refresh_schedule: 'daily' })).status).toBe(403);
    expect((await byOwner('PUT', '/budget', { budget_usd: 3, refresh_schedule: 'daily' })).status).toBe(200);
    expect((await byOwner('PUT', '/budget', { budget_usd: 100 })).status).toBe(200);
    await byRoot('PUT', '/budget', { budget_usd: 500, enforcement: 'strict' });
    expect((await byOwner('PUT', '/budget', { budget_usd: 400, enforcement: 'estimate' })).status).toBe(403);
    expect((await byOwner('PUT', '/budget', { budget_usd: 400, enforcement: 'strict' })).status).toBe(200);
    expect((await byOwner('PUT', '/budget', { budget_usd: 401, enforcement: 'strict' })).status).toBe(403);
    expect((await as(viewer)('PUT', '/budget', { budget_usd: 1 })).status).toBe(403);
  });

  it.each([
    [{}],
    [{ warning_threshold: 0.5 }],
    [{ budget_usd: null }],
    [{ budget_usd: 0 }],
    [{ budget_usd: -1 }],
    [{ budget_usd: '10' }],
    [{ budget_usd: 5, warning_threshold: 0 }],
    [{ budget_usd: 5, warning_threshold: 1.1 }],
    [{ budget_usd: 5, refresh_schedule: 'monthly' }],
    [{ budget_usd: 5, refresh_schedule: 'rolling_0d' }],
    [{ budget_usd: 5, refresh_schedule: 'rolling_367d' }],
    [{ budget_usd: 5, alert_emails: ['nobody'] }],
    [{ budget_usd: 5, alert_webhooks: ['ftp://example.com'] }],
    [{ budget_usd: 5, alert_webhooks: ['http://example.com/hook'] }],
    [{ budget_usd: 5, alert_webhooks: ['https://user:password@example.com/'] }],
    [{ budget_usd: 5, alert_webhooks: ['https://127.0.0.1/hook'] }],
    [{ budget_usd: 5, alert_webhooks: ['https://localhost/hook'] }],
    [{ budget_usd: 5, alert_webhooks: ['https://[::ffff:10.0.0.1]/hook'] }],
    [{ budget_usd: 5, alert_webhooks: ['https://169.254.169.254/latest/meta-data'] }],
  ])('400: %j, and nothing changes', async (body) => {
    expect((await byRoot('PUT', '/budget', body)).status).toBe(400);
    expect(await app.prisma.tenantBudgetOverride.count({ where: { tenantId } })).toBe(0);
  });

  it('normalises the spellings of rolling windows', async () => {
    for (const [given, kept] of [
      ['rolling_', 'rolling_30d'],
      ['ROLLING_7', 'rolling_7d'],
    ])
      expect((await byRoot('PUT', '/budget', { budget_usd: null, refresh_schedule: given })).json.refresh_schedule).toBe(kept);
  });

  it('are the same through /admin/budgets/overrides, scoped to what the caller sees', async () => {
    await byRoot('PUT', `/admin/budgets/overrides/${tenantId}`, { budget_usd: 9 });
    const foreign = await app.tenant();
    await byRoot('PUT', `/admin/budgets/overrides/${foreign}`, { budget_usd: 9 });
    const seen = (await as(viewer)('GET', '/admin/budgets/overrides')).json.overrides.map((row: any) => row.tenant_id);
    expect(seen).toContain(tenantId);
    expect(seen).not.toContain(foreign);
    expect((await as(viewer)('GET', `/admin/budgets/overrides?tenant_id=${foreign}`)).status).toBe(403);
    expect((await byOwner('DELETE', `/admin/budgets/overrides/${tenantId}`)).status).toBe(204);
  });

  it('409: two changes based on the same version', async () => {
    const { version } = (await byRoot('PUT', '/budget', { budget_usd: 9 })).json;
    const both = await Promise.all([10, 11].map((budget_usd) => byRoot('PUT', '/budget', { budget_usd }, { 'if-match': `"${version}"` })));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);
  });
});

describe('limits and models of tenants', () => {
  it('limits: 404 without, 200 with, 0 inherits, an owner stays below the default', async () => {
    expect((await as(viewer)('GET', '/rate-limits')).status).toBe(404);
    expect((await byOwner('PUT', '/rate-limits', limits(10))).json).toEqual(limits(10));
    expect((await byOwner('PUT', '/rate-limits', limits(1001))).status).toBe(403);
    expect((await byRoot('PUT', '/rate-limits', limits(2000))).status).toBe(200);
    expect((await byOwner('PUT', '/rate-limits', limits(1500))).status).toBe(200);
    expect((await byOwner('PUT', '/rate-limits', limits(1501))).status).toBe(403);
    expect((await byOwner('PUT', '/rate-limits', { requests_per_minute: 5 })).status).toBe(400);
    expect((await byOwner('PUT', '/rate-limits', limits(-1))).status).toBe(400);
    expect((await byOwner('DELETE', '/rate-limits')).status).toBe(204);
    expect(await auditOf(tenantId)).toEqual([...Array.from({ length: 3 }, () => 'tenant.rate_limit.upsert'), 'tenant.rate_limit.delete']);
  });

  it('models: everything without a list, exactly the list with one, nothing with an empty one', async () => {
    expect((await as(viewer)('GET', '/models')).json.models).toEqual(['large', 'small']);
    expect((await byOwner('PUT', '/models', { models: ['SMALL', 'small'] })).json.models).toEqual(['small']);
    expect((await byOwner('PUT', '/models', { models: ['small', 'large'] })).status).toBe(403);
    expect((await byOwner('DELETE', '/models')).status).toBe(403);
    expect((await byRoot('PUT', '/models', { models: ['nope'] })).status).toBe(400);
    expect((await byRoot('PUT', '/models', { models: [] })).json.models).toEqual([]);
    expect((await as(viewer)('GET', '/models')).json.models).toEqual([]);
    expect((await byRoot('DELETE', '/models')).status).toBe(204);
    expect((await as(viewer)('GET', '/models')).json.models).toEqual(['large', 'small']);
  });

  it('personal tenants: the default models, and only a super admin sets anything', async () => {
    const at = (rest: string) => `/admin/tenants/${ownerPersonal}${rest}`;
    expect((await byOwner('GET', at('/models'))).json.models).toEqual([]);
    expect((await byRoot('POST', '/admin/settings/default-models', { alias: 'Small' })).json).toEqual({ alias: 'small' });
    expect((await byOwner('GET', at('/models'))).json.models).toEqual(['small']);
    expect((await byRoot('DELETE', '/admin/settings/default-models/SMALL')).status).toBe(204);
    expect((await byRoot('DELETE', '/admin/settings/default-models/SMALL')).status).toBe(404);
    expect((await byRoot('POST', '/admin/settings/default-models', { alias: 'nope' })).status).toBe(400);
    expect((await byOwner('GET', at('/models'))).json.models).toEqual([]);
    for (const [rest, body] of [
      ['/budget', { budget_usd: 1 }],
      ['/rate-limits', limits(1)],
      ['/models', { models: [] }],
    ] as const) {
      expect((await byOwner('PUT', at(rest), body)).status).toBe(403);
      expect((await byRoot('PUT', at(rest), body)).status).toBe(200);
    }
  });
});
