import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { hashApiKeySecret, KeyRing, sealedContext } from '@omg/domain';
import { loadConfig } from '@omg/service-kit';
import { createPrisma, type PrismaClient } from '@omg/database';
import { cleanUp, createTestDatabase } from '@omg/testkit';
import { sharedCredentials } from '../config.js';
import { modelDocument } from '../projector/documents.js';
import { readModels } from '../projector/documents.queries.js';
import { runBootstrap, type BootstrapInput } from './bootstrap.js';

const PEPPER = 'a test pepper of more than thirty-two bytes';
const ring = new KeyRing([`test:${Buffer.alloc(32, 7).toString('base64')}`]);
let prisma: PrismaClient;
const opened: PrismaClient[] = [];

beforeEach(async () => {
  const { settings } = await createTestDatabase();
  prisma = createPrisma({ ...settings, maxConns: 8 }, { name: 'test' });
  opened.push(prisma);
});
afterAll(async () => {
  for (const client of opened) await client.$disconnect();
  await cleanUp();
});

interface File {
  bootstrap?: Record<string, unknown[]>;
  model_catalog?: unknown[];
}

/** What the service would read from a file with these sections. */
function input(file: File, over: Partial<BootstrapInput> = {}): BootstrapInput {
  const lists = Object.entries(file.bootstrap ?? {}).map(([name, list]) => [`ROUTER_BOOTSTRAP_${name.toUpperCase()}`, JSON.stringify(list)]);
  const { config } = loadConfig({
    sections: ['bootstrap', 'model_catalog', 'providers'],
    env: { ROUTER_PROFILE: 'development', ...Object.fromEntries(lists), ROUTER_MODEL_CATALOG: JSON.stringify(file.model_catalog ?? []) },
    cwd: '/nonexistent',
  });
  return {
    bootstrap: config.bootstrap,
    modelCatalog: config.modelCatalog,
    pepper: PEPPER,
    localLogin: true,
    ring,
    shared: sharedCredentials(config.providers),
    hashPassword: async (password) => `hash of ${password}`,
    ...over,
  };
}

const DEMO: File = {
  bootstrap: {
    tenants: [{ name: 'demo' }, { name: 'quiet', status: 'suspended' }],
    admin_users: [{ email: 'Admin@Example.com', name: 'Admin', password: 'first-password' }],
    api_keys: [
      {
        tenant: 'demo',
        prefix: 'sk-demo',
        secret: 'my-secret',
        name: 'Demo',
        rate_limit: { requests_per_minute: 60 },
        quota: { budget_usd: 2.5, warning_threshold: 0.5 },
      },
    ],
    memberships: [{ tenant: 'demo', email: 'admin@example.com', role: 'owner' }],
    tenant_limits: [{ tenant: 'demo', requests_per_minute: 100, tokens_per_minute: 1000, parallel_requests: 5 }],
    tenant_budgets: [{ tenant: 'demo', budget_usd: 50, refresh_schedule: 'rolling_7', alert_emails: [] }],
    default_models: ['Demo-Chat'],
  },
  model_catalog: [
    { alias: 'Demo-Chat', provider: 'openai_compatible', provider_model: 'a', endpoint: 'http://127.0.0.1:1/v1', api_key: 'secret-a', price_input: 0.0005 },
    { alias: 'demo-chat', provider: 'openai-compatible', provider_model: 'b', endpoint: 'http://127.0.0.1:1/v1', weight: 0 },
  ],
};

const changed = (edit: (bootstrap: Record<string, any[]>) => void): File => {
  const copy = structuredClone(DEMO);
  edit(copy.bootstrap as Record<string, any[]>);
  return copy;
};

/** Everything that bootstrap may touch, for "nothing changed". */
async function dump(): Promise<string> {
  const tables = await Promise.all([
    prisma.tenant.findMany({ orderBy: { id: 'asc' } }),
    prisma.user.findMany({ orderBy: { id: 'asc' } }),
    prisma.credential.findMany({ orderBy: { id: 'asc' } }),
    prisma.apiKey.findMany({ orderBy: { id: 'asc' } }),
    prisma.membership.findMany({ orderBy: { userId: 'asc' } }),
    prisma.tenantRateLimit.findMany(),
    prisma.tenantBudgetOverride.findMany(),
    prisma.modelRoute.findMany({ orderBy: { id: 'asc' } }),
    prisma.priceVersion.findMany({ orderBy: { id: 'asc' } }),
    prisma.defaultModel.findMany(),
    prisma.auditLog.findMany({ orderBy: { seq: 'asc' } }),
  ]);
  return JSON.stringify(tables, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}

describe('the demo set', () => {
  it('makes sk-demo.my-secret a key that works, and all the rest', async () => {
    const report = await runBootstrap(prisma, input(DEMO));
    expect(report.created).toEqual([
      'tenant:demo',
      'tenant:quiet',
      'admin_user:admin@example.com',
      'api_key:demo',
      'membership:demo:admin@example.com',
      'tenant_limit:demo',
      'tenant_budget:demo',
      'default_model:Demo-Chat',
    ]);
    const key = await prisma.apiKey.findUniqueOrThrow({ where: { prefix: 'demo' }, include: { tenant: true } });
    expect(Buffer.from(key.secretDigest).equals(hashApiKeySecret(PEPPER, 'my-secret'))).toBe(true);
    expect(key).toMatchObject({ requestsPerMinute: 60, tokensPerMinute: null, quotaNano: 2_500_000_000n, tenant: { name: 'demo', status: 'active' } });
    expect(await prisma.tenantBudgetOverride.findFirstOrThrow()).toMatchObject({
      budgetNano: 50_000_000_000n,
      refreshSchedule: 'rolling_7d',
      alertEmails: [],
      alertWebhooks: null,
      warningThreshold: null,
    });
    const admin = await prisma.user.findUniqueOrThrow({ where: { email: 'admin@example.com' }, include: { credentials: true, personalTenant: true } });
    expect(admin).toMatchObject({
      isSuperAdmin: true,
      bootstrapped: true,
      credentials: [{ passwordHash: 'hash of first-password' }],
      personalTenant: { kind: 'personal' },
    });
    expect((await prisma.modelAlias.findUniqueOrThrow({ where: { key: 'demo-chat' }, include: { routes: true } })).routes).toHaveLength(2);
  });

  it('changes nothing when it is applied again, by one replica or by four at once', async () => {
    await runBootstrap(prisma, input(DEMO));
    const before = await dump();
    await Promise.all([1, 2, 3, 4].map(() => runBootstrap(prisma, input(DEMO))));
    expect(await dump()).toBe(before);
  });

  it('is applied once by four replicas that start together on an empty database', async () => {
    const reports = await Promise.all([1, 2, 3, 4].map(() => runBootstrap(prisma, input(DEMO))));
    expect(reports.filter((report) => report.created.length > 0)).toHaveLength(1);
    expect(await prisma.auditLog.count()).toBe(1);
  });

  it('writes no secret anywhere but as a digest or an envelope', async () => {
    await runBootstrap(prisma, input(DEMO));
    const text = (await dump()) + JSON.stringify(await prisma.bootstrapFingerprint.findMany());
    for (const secret of ['my-secret', 'secret-a']) expect(text).not.toContain(secret);
  });
});

describe('what operators changed stays until the file changes', () => {
  it('limits, budgets and quotas', async () => {
    await runBootstrap(prisma, input(DEMO));
    await prisma.tenantRateLimit.updateMany({ data: { requestsPerMinute: 7 } });
    await prisma.tenantBudgetOverride.deleteMany();
    await prisma.apiKey.updateMany({ data: { quotaNano: 1n, name: 'renamed', revokedAt: new Date() } });
    await prisma.defaultModel.deleteMany();
    expect((await runBootstrap(prisma, input(DEMO))).updated).toEqual([]);
    expect(await prisma.tenantRateLimit.findFirst()).toMatchObject({ requestsPerMinute: 7 });
    expect(await prisma.tenantBudgetOverride.count()).toBe(0);
    expect(await prisma.defaultModel.count()).toBe(0);

    const next = changed((bootstrap) => {
      bootstrap['tenant_limits']![0].requests_per_minute = 200;
      bootstrap['tenant_budgets']![0].budget_usd = 60;
      bootstrap['api_keys']![0].quota.budget_usd = 9;
      bootstrap['api_keys']![0].secret = 'another-secret';
    });
    await runBootstrap(prisma, input(next));
    expect(await prisma.tenantRateLimit.findFirst()).toMatchObject({ requestsPerMinute: 200 });
    expect(await prisma.tenantBudgetOverride.findFirst()).toMatchObject({ budgetNano: 60_000_000_000n });
    const key = await prisma.apiKey.findUniqueOrThrow({ where: { prefix: 'demo' } });
    expect(key).toMatchObject({ quotaNano: 9_000_000_000n, name: 'renamed' });
    expect(key.revokedAt).not.toBeNull();
    expect(Buffer.from(key.secretDigest).equals(hashApiKeySecret(PEPPER, 'my-secret'))).toBe(true);
  });

  it('passwords; a changed one in the file ends the sessions', async () => {
    await runBootstrap(prisma, input(DEMO));
    const user = await prisma.user.findUniqueOrThrow({ where: { email: 'admin@example.com' } });
    await prisma.credential.updateMany({ data: { passwordHash: 'hash of the own one' } });
    await prisma.refreshTokenFamily.create({ data: { id: user.id, userId: user.id, method: 'local' } });
    await runBootstrap(prisma, input(DEMO));
    expect(await prisma.credential.findFirst()).toMatchObject({ passwordHash: 'hash of the own one' });
    await runBootstrap(prisma, input(changed((bootstrap) => (bootstrap['admin_users']![0].password = 'second-password'))));
    expect(await prisma.credential.findMany()).toMatchObject([{ passwordHash: 'hash of second-password' }]);
    expect((await prisma.refreshTokenFamily.findFirstOrThrow()).revokedAt).not.toBeNull();
  });

  it('passwords of the longest addresses, each for itself', async () => {
    // As long as an address may be; the two differ in their last letter only.
    const admins = ['a', 'b'].map((last) => ({ email: `${'x'.repeat(242)}@example.co${last}`, name: last, password: `password-of-${last}` }));
    const hashes = async () => (await prisma.credential.findMany({ orderBy: { user: { email: 'asc' } } })).map(({ passwordHash }) => passwordHash);
    await runBootstrap(prisma, input({ bootstrap: { admin_users: admins } }));
    expect(await hashes()).toEqual(['hash of password-of-a', 'hash of password-of-b']);
    await prisma.credential.updateMany({ data: { passwordHash: 'own' } });
    expect((await runBootstrap(prisma, input({ bootstrap: { admin_users: admins } }))).updated).toEqual([]);
    expect(await hashes()).toEqual(['own', 'own']);
    admins[0]!.password = 'second-password';
    await runBootstrap(prisma, input({ bootstrap: { admin_users: admins } }));
    expect(await hashes()).toEqual(['hash of second-password', 'own']);
  });

  it('never takes over the password of an account that was made elsewhere', async () => {
    await runBootstrap(prisma, input({ bootstrap: { admin_users: [{ email: 'a@example.com', name: 'A' }] } }));
    await prisma.credential.create({
      data: { id: '00000000-0000-4000-8000-000000000001', kind: 'password', passwordHash: 'own', userId: (await prisma.user.findFirstOrThrow()).id },
    });
    await runBootstrap(prisma, input({ bootstrap: { admin_users: [{ email: 'a@example.com', name: 'A', password: 'from-the-file' }] } }));
    expect(await prisma.credential.findFirst()).toMatchObject({ passwordHash: 'own' });
  });

  it('promotes but does not rename an account, and starts without local login', async () => {
    await runBootstrap(prisma, input({ bootstrap: { admin_users: [{ email: 'a@example.com', name: 'A', super_admin: false }] } }));
    expect(await prisma.user.findFirst()).toMatchObject({ isSuperAdmin: false });
    await runBootstrap(
      prisma,
      input({ bootstrap: { admin_users: [{ email: 'a@example.com', name: 'B', password: 'ignored-password' }] } }, { localLogin: false }),
    );
    expect(await prisma.user.findFirst()).toMatchObject({ isSuperAdmin: true, name: 'A' });
    expect(await prisma.credential.count()).toBe(0);
  });
});

describe('mistakes in the file', () => {
  it.each([
    ['a key of an unknown tenant', { api_keys: [{ tenant: 'nobody', prefix: 'p', secret: 's', name: 'n' }] }, 'nobody'],
    [
      'a membership of an unknown user',
      { tenants: [{ name: 't' }], memberships: [{ tenant: 't', email: 'who@example.com', role: 'user' }] },
      'who@example.com',
    ],
    ['a limit of an unknown tenant', { tenant_limits: [{ tenant: 'nobody', limits: { requests_per_minute: 1 } }] }, 'nobody'],
    ['a default model outside the catalog', { default_models: ['gpt-none'] }, 'gpt-none'],
  ])('%s stops the start, and nothing of the file is applied', async (_what, bootstrap, named) => {
    await expect(runBootstrap(prisma, input({ bootstrap: { ...bootstrap, tenants: [{ name: 't' }] }, model_catalog: DEMO.model_catalog! }))).rejects.toThrow(
      named,
    );
    expect(await prisma.tenant.count()).toBe(0);
    expect(await prisma.modelRoute.count()).toBe(0);
  });
});

describe('the catalog of the file', () => {
  it('follows edits of the file, and removals', async () => {
    await runBootstrap(prisma, input(DEMO));
    const before = await prisma.modelRoute.findFirstOrThrow({ where: { providerModel: 'a' } });
    const [first] = structuredClone(DEMO.model_catalog!) as Record<string, unknown>[];
    const report = await runBootstrap(prisma, input({ model_catalog: [{ ...first, price_input: 0.0007, api_key: 'secret-b', weight: 3 }] }));
    expect(report.catalog).toEqual({ added: 0, updated: 1, removed: 1 });
    const after = await prisma.modelRoute.findFirstOrThrow({ include: { priceVersions: { orderBy: { validFrom: 'asc' } } } });
    expect(after).toMatchObject({ id: before.id, weight: 3, version: 2 });
    expect(after.priceVersions.map((version) => version.priceInput?.toFixed())).toEqual(['0.0005', '0.0007']);
    expect(ring.open((after.sealedSecrets as Record<string, string>)['fields.api_key']!, sealedContext.routeSetting('fields.api_key', after.id))).toBe(
      'secret-b',
    );
  });

  it('seals everything anew after a change of the key ring', async () => {
    await runBootstrap(prisma, input(DEMO));
    const next = new KeyRing([`next:${Buffer.alloc(32, 8).toString('base64')}`, `test:${Buffer.alloc(32, 7).toString('base64')}`]);
    await runBootstrap(prisma, input(DEMO, { ring: next }));
    const { sealedSecrets } = await prisma.modelRoute.findFirstOrThrow({ where: { providerModel: 'a' } });
    expect(Object.values(sealedSecrets as Record<string, string>).every((envelope) => next.isCurrent(envelope))).toBe(true);
  });

  it('says when an alias has more routes than the edges are given', async () => {
    const route = (index: number) => ({ alias: 'm', provider: 'openai-compatible', provider_model: `m${index}`, endpoint: 'http://127.0.0.1:1/v1' });
    const catalogOf = (count: number) => input({ model_catalog: Array.from({ length: count }, (_, index) => route(index)) });
    expect((await runBootstrap(prisma, catalogOf(64))).warnings).toEqual([]);
    expect((await runBootstrap(prisma, catalogOf(65))).warnings).toEqual(['model_catalog: m has 65 routes, of which the edges are given 64']);
    const [row] = await readModels(prisma, ['m'], new Date());
    expect(modelDocument(row!, { ring, shared: {} }, undefined)!.routes).toHaveLength(64);
  });

  it('keeps a broken entry as a route with its reason, beside the good ones', async () => {
    const report = await runBootstrap(
      prisma,
      input({
        model_catalog: [
          { alias: 'm', provider: 'openai-compatible', provider_model: 'good', endpoint: 'http://127.0.0.1:1/v1' },
          { alias: 'm', provider: 'no-such-provider', provider_model: 'x' },
          { alias: 'm', provider: 'openai-compatible', provider_model: 'no-endpoint' },
          { alias: 'm', provider: 'openai-compatible', provider_model: 'dear', price_input: -1 },
          { alias: 'm', provider: 'openai-compatible', provider_model: 'off', price_input: -1, enabled: false },
          { alias: 'm', provider: 'openai-compatible', provider_model: 'off-too', enabled: false },
          { alias: 'm', provider: 'openai-compatible', provider_model: 'good', endpoint: 'http://127.0.0.1:1/v1' },
        ],
      }),
    );
    const reasons = Object.fromEntries((await prisma.modelRoute.findMany()).map((route) => [route.providerModel, route.invalidReason]));
    expect(reasons).toMatchObject({
      good: null,
      x: expect.stringContaining('no-such-provider'),
      'no-endpoint': expect.stringMatching(/./),
      dear: expect.stringContaining('price_input'),
    });
    expect(report.warnings).toEqual([
      expect.stringMatching(/^model_catalog\[1\]: unknown provider: no-such-provider; this route is switched off$/),
      expect.stringMatching(/^model_catalog\[2\]: .*base_url.*; this route is switched off$/),
      expect.stringContaining('the same route'),
    ]);
    const off = await prisma.modelRoute.findMany({ where: { enabled: false }, select: { providerModel: true }, orderBy: { providerModel: 'asc' } });
    expect(off.map(({ providerModel }) => providerModel)).toEqual(['off', 'off-too']);
    // The edges are told, so that a route whose price could not be read never serves for free.
    const [row] = await readModels(prisma, ['m'], new Date());
    const documents = modelDocument(row!, { ring, shared: {} }, undefined)!.routes;
    expect(Object.fromEntries(documents.map((route) => [route.providerModel, route.invalid !== undefined]))).toEqual({
      good: false,
      x: true,
      'no-endpoint': true,
      dear: true,
      off: true,
      'off-too': true,
    });
  });

  it('keeps an alias that an allowlist names when its routes leave the file', async () => {
    await runBootstrap(prisma, input(DEMO));
    const tenant = await prisma.tenant.findFirstOrThrow({ where: { name: 'demo' } });
    await prisma.tenantModel.create({ data: { tenantId: tenant.id, aliasKey: 'demo-chat' } });
    await runBootstrap(prisma, input({}));
    expect(await prisma.modelAlias.count()).toBe(1);
    expect(await prisma.modelRoute.count()).toBe(0);
  });
});
