import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyDocumentSchema, kvToken } from '@omg/contracts';
import { createPool, type PostgresPool } from '@omg/database';
import { ConfigBucket, connectNats, type NatsClient } from '@omg/storage';
import { cleanUp, createTestDatabase, createTestRedis, startNats, startService, waitFor, type RunningApp } from '@omg/testkit';

/** Two admin processes that started together on empty stores, as behind a load balancer. */
let replicas: RunningApp[];
let nats: NatsClient;
let pool: PostgresPool;
let tokens: string[];
let tenantId: string;

beforeAll(async () => {
  const [database, redis, server] = await Promise.all([createTestDatabase({ migrated: false }), createTestRedis(), startNats()]);
  const env = {
    ROUTER_PROFILE: 'development',
    ROUTER_DB_URL: database.url,
    ROUTER_REDIS_URL: redis.url,
    ROUTER_NATS_URL: server.url,
    ROUTER_OBSERVABILITY_ENABLE_OTLP: 'false',
    ROUTER_BOOTSTRAP_TENANTS: JSON.stringify([{ name: 'demo' }]),
    ROUTER_BOOTSTRAP_ADMIN_USERS: JSON.stringify([{ email: 'root@example.com', name: 'Root', password: 'correct horse battery' }]),
    ROUTER_BOOTSTRAP_API_KEYS: JSON.stringify([{ tenant: 'demo', prefix: 'demo', secret: 'my-secret', name: 'Demo' }]),
  };
  replicas = await Promise.all([startService('admin-api', env), startService('admin-api', env)]);
  nats = connectNats({ url: server.url }, { name: 'test' });
  pool = createPool({ ...database.settings, maxConns: 2 }, { name: 'test' });
  tokens = await Promise.all(replicas.map(signIn));
  tenantId = (await call(0, 'GET', '/admin/tenants')).body.tenants[0].id;
});
afterAll(async () => {
  await pool?.end();
  await nats?.close();
  await cleanUp();
});

async function signIn(replica: RunningApp): Promise<string> {
  const response = await fetch(`${replica.url}/admin/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'root@example.com', password: 'correct horse battery' }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function call(
  replica: number,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: any }> {
  const response = await fetch(`${replicas[replica]!.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens[replica]}`, ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json().catch(() => undefined) };
}

async function keyDocument(prefix: string) {
  const { value } = await (await ConfigBucket.open(await nats.connected(), 1)).read(`key.${kvToken(prefix)}`);
  return value && keyDocumentSchema.parse(JSON.parse(value.toString('utf8')));
}

const leads = async (replica: RunningApp): Promise<boolean> =>
  /^open_model_gateway_config_projector_leading 1$/m.test(await (await fetch(`${replica.url}/metrics`)).text());

describe('two replicas of the admin API', () => {
  it('migrate and bootstrap once, and the demo key reaches the edges', async () => {
    const { rows } =
      await pool.query(`SELECT (SELECT count(*)::int FROM tenants WHERE kind = 'organization') AS tenants, (SELECT count(*)::int FROM api_keys) AS keys,
      (SELECT count(*)::int FROM audit_logs WHERE action = 'bootstrap.apply') AS runs, (SELECT count(*) = count(DISTINCT migration_name) FROM _prisma_migrations) AS once`);
    expect(rows).toEqual([{ tenants: 1, keys: 1, runs: 1, once: true }]);
    expect(await waitFor(() => keyDocument('demo'))).toMatchObject({ tenantId, revoked: false });
    expect((await Promise.all(replicas.map(leads))).filter(Boolean)).toHaveLength(1);
  });

  it('lose no update: of changes from one version exactly one wins, unconditional ones are all counted', async () => {
    const { version } = (await call(0, 'GET', `/admin/tenants/${tenantId}`)).body;
    const conditional = await Promise.all(
      Array.from({ length: 10 }, (_, i) => call(i % 2, 'PATCH', `/admin/tenants/${tenantId}`, { name: `name ${i}` }, { 'if-match': `"${version}"` })),
    );
    expect(conditional.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(conditional.filter(({ status }) => status === 409)).toHaveLength(9);
    const limits = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        call(i % 2, 'PUT', `/admin/tenants/${tenantId}/rate-limits`, { requests_per_minute: i + 1, tokens_per_minute: 0, parallel_requests: 0 }),
      ),
    );
    expect(limits.every(({ status }) => status === 200)).toBe(true);
    expect((await call(1, 'GET', `/admin/tenants/${tenantId}`)).body.version).toBe(version + 11);
  });

  it('lose no update of a catalog entry, a budget, a key, a member and the defaults either', async () => {
    const alias = 'contested';
    const entry = (weight: number) => ({ alias, provider: 'openai-compatible', provider_model: 'm', endpoint: 'https://8.8.8.8/v1', weight });
    await call(0, 'POST', '/admin/model-catalog', entry(1));
    await call(0, 'PUT', `/admin/tenants/${tenantId}/budget`, { budget_usd: 1 });
    const key = (await call(0, 'POST', `/admin/tenants/${tenantId}/api-keys`, { name: 'contested' })).body.api_key;
    const member = (i: number) => ({ email: 'contested@example.com', role: ['admin', 'viewer', 'user'][i % 3]! });
    await call(0, 'POST', `/admin/tenants/${tenantId}/memberships`, member(0));
    const budget = { warning_threshold: 0.5, refresh_schedule: 'weekly' };
    const contests: [string, string, (i: number) => object, () => Promise<{ version: number } & Record<string, unknown>>][] = [
      [
        'POST',
        '/admin/model-catalog',
        (i) => entry(i + 2),
        async () => (await call(1, 'GET', '/admin/model-catalog')).body.find((row: any) => row.alias === alias),
      ],
      [
        'PUT',
        `/admin/tenants/${tenantId}/budget`,
        (i) => ({ budget_usd: i + 2 }),
        async () => (await call(1, 'GET', `/admin/tenants/${tenantId}/budget`)).body,
      ],
      [
        'PATCH',
        `/admin/tenants/${tenantId}/api-keys/${key.id}`,
        (i) => ({ name: `n ${i}` }),
        async () => (await call(1, 'GET', `/admin/tenants/${tenantId}/api-keys/${key.id}`)).body,
      ],
      [
        'POST',
        `/admin/tenants/${tenantId}/memberships`,
        member,
        async () => (await call(1, 'GET', `/admin/tenants/${tenantId}/memberships`)).body.memberships.find((row: any) => row.email === member(0).email),
      ],
      ['PUT', '/admin/budgets/default', (i) => ({ default_usd: i + 2, ...budget }), async () => (await call(1, 'GET', '/admin/budgets/default')).body],
    ];
    for (const [method, path, change, read] of contests) {
      const { version } = await read();
      const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => call(i % 2, method, path, change(i), { 'if-match': `"${version}"` })));
      expect([path, answers.filter(({ status }) => status < 300).length, answers.filter(({ status }) => status === 409).length]).toEqual([path, 1, 9]);
      const winner = answers.findIndex(({ status }) => status < 300);
      const kept = await read();
      expect(kept).toMatchObject({ version: version + 1, ...(method === 'PUT' && path.endsWith('default') ? { default_usd: winner + 2 } : change(winner)) });
      // Without a condition each is written on top of the one before it, and none is dropped unseen.
      const all = await Promise.all(Array.from({ length: 6 }, (_, i) => call(i % 2, method, path, change(i))));
      expect(all.every(({ status }) => status < 300)).toBe(true);
      expect((await read()).version).toBe(version + 7);
    }
  });

  it('go on projecting when the one that projects is killed, and miss nothing that changed meanwhile', async () => {
    const { rows } = await pool.query<{ id: string }>(`SELECT id FROM api_keys WHERE prefix = 'demo'`);
    const leader = (await leads(replicas[0]!)) ? 0 : 1;
    const other = 1 - leader;
    const killed = replicas[leader]!.kill();
    const startedMs = Date.now();
    expect((await call(other, 'DELETE', `/admin/tenants/${tenantId}/api-keys/${rows[0]!.id}`)).status).toBe(200);
    await waitFor(async () => (await keyDocument('demo'))?.revoked === true);
    console.log(`leader killed: a revocation reached the bucket after ${Date.now() - startedMs} ms`);
    expect(await leads(replicas[other]!)).toBe(true);
    await killed;
  });
});
