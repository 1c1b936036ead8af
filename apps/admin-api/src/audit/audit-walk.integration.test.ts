import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, freePort, startFakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { RouteRules } from '../http/route-rules.js';
import { PASSWORD, startAdminApp, type AdminAppFixture, type Answer } from '../testing/admin-app.fixture.js';

/**
 * Every route that changes something, with one change that succeeds: it must leave exactly one audit row of the action that
 * is named here, and be refused for a version that is not the present one. A new route without a line fails the first test.
 */
let app: AdminAppFixture;
let root: string;
let tenantId: string;
let userId: string;
let keyId: string;
let endpoint: string;
let mailServerPort: number;
const MAIL = 'someone@example.com';

beforeAll(async () => {
  app = await startAdminApp({ environment: { ROUTER_SECURITY_UPSTREAM_ALLOWLIST: '127.0.0.1' } });
  await app.user('root@example.com', { superAdmin: true });
  root = await app.signIn('root@example.com');
  endpoint = `${(await startFakeUpstream((exchange) => exchange.respond(200, { object: 'list', data: [] }))).origin}/v1`;
  mailServerPort = await mailServer();
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});

/** Sent with every call of a walk. */
let headers: Record<string, string> = {};
const call = (method: string, path: string, body?: unknown): Promise<Answer> => app.call(method, `/admin/${path}`, { token: root, body, headers });
const budget = { budget_usd: 5, warning_threshold: 0.5 };
const limits = { requests_per_minute: 5, tokens_per_minute: 0, parallel_requests: 0 };
const entry = () => ({ alias: 'walked', provider: 'openai-compatible', provider_model: 'm', endpoint });
const session = async (): Promise<string> => (await app.call('POST', '/admin/auth/login', { body: { email: MAIL, password: PASSWORD } })).json.refresh_token;

/** What most changes need. */
async function prepare(): Promise<void> {
  tenantId = await app.tenant();
  userId = ((await app.prisma.user.findUnique({ where: { email: MAIL } })) ?? (await app.user(MAIL))).id;
  keyId = (await call('POST', `tenants/${tenantId}/api-keys`, { name: 'walked' })).json.api_key.id;
}

interface Walk {
  action: string;
  /** What must be there; its own rows are not counted. Answers what `change` needs. */
  given?: () => Promise<unknown>;
  change: (given: any) => Promise<Answer>;
}

const WALKS: Record<string, Walk> = {
  'POST /admin/auth/login': { action: 'auth.login', change: () => app.call('POST', '/admin/auth/login', { body: { email: MAIL, password: PASSWORD } }) },
  'POST /admin/auth/logout': {
    action: 'auth.logout',
    given: session,
    change: (token) => app.call('POST', '/admin/auth/logout', { body: { refresh_token: token } }),
  },
  'POST /admin/tokens': { action: 'admin_token.create', change: () => call('POST', 'tokens', { name: 'ci' }) },
  'DELETE /admin/tokens/:tokenId': {
    action: 'admin_token.revoke',
    given: async () => (await call('POST', 'tokens', { name: 'ci' })).json.admin_token.id,
    change: (id) => call('DELETE', `tokens/${id}`),
  },
  'POST /admin/users': { action: 'admin_user.upsert', change: () => call('POST', 'users', { email: `${randomUUID()}@example.com` }) },
  'POST /admin/users/:userId/password': { action: 'admin_user.password_reset', change: () => call('POST', `users/${userId}/password`, { password: PASSWORD }) },
  'POST /admin/tenants': { action: 'tenant.create', change: () => call('POST', 'tenants', { name: randomUUID() }) },
  'PATCH /admin/tenants/:tenantId': { action: 'tenant.update_name', change: () => call('PATCH', `tenants/${tenantId}`, { name: randomUUID() }) },
  'PATCH /admin/tenants/:tenantId/status': {
    action: 'tenant.update_status',
    change: () => call('PATCH', `tenants/${tenantId}/status`, { status: 'suspended' }),
  },
  'PUT /admin/tenants/:tenantId/budget': { action: 'tenant.budget.upsert', change: () => call('PUT', `tenants/${tenantId}/budget`, budget) },
  'DELETE /admin/tenants/:tenantId/budget': {
    action: 'tenant.budget.delete',
    given: () => call('PUT', `tenants/${tenantId}/budget`, budget),
    change: () => call('DELETE', `tenants/${tenantId}/budget`),
  },
  'PUT /admin/tenants/:tenantId/models': { action: 'tenant.models.set', change: () => call('PUT', `tenants/${tenantId}/models`, { models: [] }) },
  'DELETE /admin/tenants/:tenantId/models': {
    action: 'tenant.models.clear',
    given: () => call('PUT', `tenants/${tenantId}/models`, { models: [] }),
    change: () => call('DELETE', `tenants/${tenantId}/models`),
  },
  'PUT /admin/tenants/:tenantId/rate-limits': { action: 'tenant.rate_limit.upsert', change: () => call('PUT', `tenants/${tenantId}/rate-limits`, limits) },
  'DELETE /admin/tenants/:tenantId/rate-limits': {
    action: 'tenant.rate_limit.delete',
    given: () => call('PUT', `tenants/${tenantId}/rate-limits`, limits),
    change: () => call('DELETE', `tenants/${tenantId}/rate-limits`),
  },
  'POST /admin/tenants/:tenantId/memberships': {
    action: 'membership.upsert',
    change: () => call('POST', `tenants/${tenantId}/memberships`, { email: MAIL, role: 'viewer' }),
  },
  'DELETE /admin/tenants/:tenantId/memberships/:userId': {
    action: 'membership.remove',
    given: () => call('POST', `tenants/${tenantId}/memberships`, { email: MAIL, role: 'viewer' }),
    change: () => call('DELETE', `tenants/${tenantId}/memberships/${userId}`),
  },
  'POST /admin/tenants/:tenantId/api-keys': { action: 'api_key.create', change: () => call('POST', `tenants/${tenantId}/api-keys`, { name: 'k' }) },
  'PATCH /admin/tenants/:tenantId/api-keys/:keyId': {
    action: 'api_key.update',
    change: () => call('PATCH', `tenants/${tenantId}/api-keys/${keyId}`, { name: randomUUID() }),
  },
  'POST /admin/tenants/:tenantId/api-keys/:keyId/rotate': {
    action: 'api_key.rotate',
    change: () => call('POST', `tenants/${tenantId}/api-keys/${keyId}/rotate`),
  },
  'DELETE /admin/tenants/:tenantId/api-keys/:keyId': { action: 'api_key.revoke', change: () => call('DELETE', `tenants/${tenantId}/api-keys/${keyId}`) },
  'PUT /admin/budgets/default': {
    action: 'budget.default.update',
    change: () => call('PUT', 'budgets/default', { default_usd: 100, warning_threshold: 0.8, refresh_schedule: 'weekly' }),
  },
  'PUT /admin/budgets/overrides/:tenantId': { action: 'budget.override.upsert', change: () => call('PUT', `budgets/overrides/${tenantId}`, budget) },
  'DELETE /admin/budgets/overrides/:tenantId': {
    action: 'budget.override.delete',
    given: () => call('PUT', `budgets/overrides/${tenantId}`, budget),
    change: () => call('DELETE', `budgets/overrides/${tenantId}`),
  },
  'PUT /admin/settings/rate-limits': {
    action: 'rate_limits.default.update',
    change: () => call('PUT', 'settings/rate-limits', { requests_per_minute: 9, tokens_per_minute: 9, parallel_requests_key: 9, parallel_requests_tenant: 9 }),
  },
  'POST /admin/settings/default-models': {
    action: 'default_model.add',
    given: () => call('POST', 'model-catalog', entry()),
    change: () => call('POST', 'settings/default-models', { alias: 'walked' }),
  },
  'DELETE /admin/settings/default-models/:alias': {
    action: 'default_model.remove',
    given: async () => [await call('POST', 'model-catalog', entry()), await call('POST', 'settings/default-models', { alias: 'walked' })],
    change: () => call('DELETE', 'settings/default-models/walked'),
  },
  'PUT /admin/settings/files': {
    action: 'settings.files.update',
    change: () => call('PUT', 'settings/files', { max_size_mb: 1, default_ttl_seconds: 60, max_ttl_seconds: 60 }),
  },
  'PUT /admin/settings/batches': {
    action: 'settings.batches.update',
    change: () => call('PUT', 'settings/batches', { max_requests: 1, max_concurrency: 1, default_ttl_seconds: 60, max_ttl_seconds: 60 }),
  },
  'PUT /admin/settings/alerts': { action: 'settings.alerts.update', change: () => call('PUT', 'settings/alerts', { smtp: { host: '' }, webhook: {} }) },
  'POST /admin/settings/alerts/test-email': {
    action: 'settings.alerts.test',
    given: () =>
      call('PUT', 'settings/alerts', { smtp: { host: '127.0.0.1', port: mailServerPort, from: 'gateway@example.com', use_tls: false }, webhook: {} }),
    change: () => call('POST', 'settings/alerts/test-email', { email: MAIL }),
  },
  'POST /admin/model-catalog': { action: 'model_catalog.upsert', change: () => call('POST', 'model-catalog', entry()) },
  'DELETE /admin/model-catalog/:alias': {
    action: 'model_catalog.remove',
    given: () => call('POST', 'model-catalog', entry()),
    change: () => call('DELETE', 'model-catalog/walked'),
  },
  'POST /admin/model-catalog/:alias/test': {
    action: 'model_catalog.test',
    given: () => call('POST', 'model-catalog', entry()),
    change: () => call('POST', 'model-catalog/walked/test'),
  },
};

/** A refresh changes nothing that an operator would look for (its reuse is recorded as `auth.refresh_reuse`), a download link nothing at all. */
const UNAUDITED = ['POST /admin/auth/refresh', 'POST /admin/downloads'];

/** Changes that take no `If-Match`, as there is nothing that they could overwrite unseen. */
const UNCONDITIONAL: Record<string, string> = {
  'POST /admin/auth/login': 'makes a session',
  'POST /admin/auth/logout': 'ends a session',
  'POST /admin/tokens': 'makes a token',
  'DELETE /admin/tokens/:tokenId': 'ends a token; the second time too',
  'POST /admin/users': 'makes an account, and leaves one that exists as it is',
  'POST /admin/users/:userId/password': 'replaces what nobody can have read',
  'POST /admin/tenants': 'makes a tenant; a taken name is refused',
  'POST /admin/tenants/:tenantId/api-keys': 'makes a key',
  'DELETE /admin/tenants/:tenantId/api-keys/:keyId': 'ends a key, which must work whatever was changed meanwhile; the second time too',
  'POST /admin/settings/default-models': 'adds one model to a set',
  'DELETE /admin/settings/default-models/:alias': 'takes one model out of a set',
  'POST /admin/settings/alerts/test-email': 'changes nothing that is stored',
  'POST /admin/model-catalog/:alias/test': 'changes nothing that is stored',
};

describe('every change of what is there', () => {
  it('is conditional, or one of those that are not', () => {
    for (const route of Object.keys(UNCONDITIONAL)) expect(Object.keys(WALKS)).toContain(route);
  });

  it.each(Object.entries(WALKS).filter(([route]) => !(route in UNCONDITIONAL)))(
    '%s refuses another version than the present one',
    async (_route, { given, change }) => {
      await prepare();
      const prepared = await given?.();
      const last = await app.prisma.auditLog.findFirstOrThrow({ orderBy: { seq: 'desc' } });
      headers = { 'if-match': '"987654321"' };
      const refused = await change(prepared).finally(() => (headers = {}));
      expect([refused.status, refused.json?.code]).toEqual([409, 'version_conflict']);
      expect(await app.prisma.auditLog.count({ where: { seq: { gt: last.seq } } })).toBe(0);
      headers = { 'if-match': '*' };
      const done = await change(prepared).finally(() => (headers = {}));
      expect([done.status < 300, done.text]).toEqual([true, done.text]);
    },
  );
});

describe('every change', () => {
  it('has a line in this walk', () => {
    const changing = app.app
      .get(RouteRules)
      .list()
      .map(({ method, path }) => `${method} ${path}`)
      .filter((route) => !route.startsWith('GET '));
    expect(changing.sort()).toEqual([...Object.keys(WALKS), ...UNAUDITED].sort());
  });

  it.each(Object.entries(WALKS))('%s leaves exactly one audit row', async (_route, { action, given, change }) => {
    await prepare();
    const prepared = await given?.();
    const last = await app.prisma.auditLog.findFirstOrThrow({ orderBy: { seq: 'desc' } });
    const answer = await change(prepared);
    expect([answer.status < 300, answer.text]).toEqual([true, answer.text]);
    const rows = await app.prisma.auditLog.findMany({ where: { seq: { gt: last.seq } } });
    expect(rows.map((row) => row.action)).toEqual([action]);
    expect(rows[0]!.userEmail).toBe(action.startsWith('auth.') ? MAIL : 'root@example.com');
    expect(JSON.stringify(rows[0]!.metadata)).not.toContain(PASSWORD);
  });
});

/** Takes every mail. */
async function mailServer(): Promise<number> {
  const port = await freePort();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 test ESMTP\r\n');
    socket.on('data', (chunk) => {
      const text = chunk.toString();
      if (text.endsWith('\r\n.\r\n')) socket.write('250 queued\r\n');
      else if (/^(EHLO|HELO|MAIL|RCPT|RSET)/i.test(text)) socket.write('250 ok\r\n');
      else if (/^DATA/i.test(text)) socket.write('354 go on\r\n');
      else if (/^QUIT/i.test(text)) socket.end('221 bye\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  server.unref();
  return port;
}
