import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { alertTransportSettingSchema, SETTING_KEYS } from '@omg/contracts';
import { KeyRing, sealedContext } from '@omg/domain';
import { cleanUp, freePort, within } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

const KEY = `test:${Buffer.alloc(32, 9).toString('base64')}`;
let app: AdminAppFixture;
let root: string;
let viewer: string;

beforeAll(async () => {
  app = await startAdminApp({ environment: { ROUTER_SECRETS_ENCRYPTION_KEYS: KEY } });
  const tenant = await app.tenant();
  await app.user('root@example.com', { superAdmin: true });
  await app.user('viewer@example.com', { memberships: { [tenant]: 'viewer' } });
  await app.user('admin@example.com', { memberships: { [tenant]: 'admin' } });
  [root, viewer] = [await app.signIn('root@example.com'), await app.signIn('viewer@example.com')];
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});

const call = (method: string, path: string, body?: object, headers?: Record<string, string>, token = root) =>
  app.call(method, `/admin/${path}`, { token, body, headers });

describe('default budget', () => {
  const body = { default_usd: 42.5, warning_threshold: 0.7, refresh_schedule: 'Rolling_7' };

  it("200: begins with the file's values, then keeps the changed ones and who changed them", async () => {
    expect((await call('GET', 'budgets/default')).json).toMatchObject({ default_usd: 100, version: 0 });
    const { json } = await call('PUT', 'budgets/default', { ...body, alert_cooldown_seconds: 0 });
    expect(json).toMatchObject({
      default_usd: 42.5,
      warning_threshold_perc: 0.7,
      refresh_schedule: 'rolling_7d',
      alert: { enabled: false, cooldown_seconds: 3600 },
      metadata: { updated_by: { email: 'root@example.com' } },
    });
    expect((await call('GET', 'budgets/default')).json).toEqual(json);
  });

  it('403 for viewers and admins to write, 409 for the second of two changes from one version', async () => {
    expect((await call('GET', 'budgets/default', undefined, undefined, viewer)).status).toBe(403);
    const admin = await app.signIn('admin@example.com');
    expect((await call('GET', 'budgets/default', undefined, undefined, admin)).status).toBe(200);
    expect((await call('PUT', 'budgets/default', body, undefined, admin)).status).toBe(403);
    const { version } = (await call('GET', 'budgets/default')).json;
    const both = await Promise.all([1, 2].map((default_usd) => call('PUT', 'budgets/default', { ...body, default_usd }, { 'if-match': `"${version}"` })));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);
  });

  it.each([[{ default_usd: 0 }], [{ default_usd: 1e9 }], [{ warning_threshold: 2 }], [{ refresh_schedule: 'yearly' }], [{ alert_emails: ['x'] }]])(
    '400: %j',
    async (over) => {
      expect((await call('PUT', 'budgets/default', { ...body, ...over })).status).toBe(400);
    },
  );
});

describe('default rate limits', () => {
  const limits = { requests_per_minute: 10, tokens_per_minute: 20, parallel_requests_key: 3, parallel_requests_tenant: 4 };

  it('200: replaced as a whole, by super admins', async () => {
    expect((await call('GET', 'settings/rate-limits', undefined, undefined, viewer)).json).toMatchObject({ requests_per_minute: 1000, version: 0 });
    expect((await call('PUT', 'settings/rate-limits', limits, undefined, viewer)).status).toBe(403);
    expect((await call('PUT', 'settings/rate-limits', limits)).json).toEqual({ ...limits, version: 1 });
    expect(await app.prisma.configOutbox.count({ where: { kind: 'defaults' } })).toBeGreaterThan(0);
  });

  it.each([[{ requests_per_minute: 0 }], [{ tokens_per_minute: 1.5 }], [{ parallel_requests_key: undefined }]])('400: %j', async (over) => {
    expect((await call('PUT', 'settings/rate-limits', { ...limits, ...over })).status).toBe(400);
  });

  it('a change keeps what another one has just written in the fields that it leaves out', async () => {
    await app.prisma.setting.deleteMany();
    const budget = { default_usd: 5, warning_threshold: 0.5, refresh_schedule: 'weekly' };
    const answers = await Promise.all(
      [{ alert_enabled: true }, { alert_emails: ['ops@example.com'] }, { alert_cooldown_seconds: 60 }].map((part) =>
        call('PUT', 'budgets/default', { ...budget, ...part }),
      ),
    );
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect((await call('GET', 'budgets/default')).json).toMatchObject({
      version: 3,
      alert: { enabled: true, emails: ['ops@example.com'], cooldown_seconds: 60 },
    });
  });

  it('two first changes at once leave one row with both versions counted', async () => {
    await app.prisma.setting.deleteMany();
    const answers = await Promise.all([1, 2, 3].map((requests) => call('PUT', 'settings/rate-limits', { ...limits, requests_per_minute: requests })));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect((await call('GET', 'settings/rate-limits')).json.version).toBe(3);
  });
});

describe('alert settings', () => {
  const smtp = (over: object = {}) => ({
    smtp: { host: '127.0.0.1', port: 2525, username: 'u', password: 'the-smtp-password', from: 'gateway@example.com', use_tls: false, ...over },
    webhook: {},
  });

  it('200: the password is sealed and masked, kept when it comes back masked or empty, removed by null', async () => {
    const put = await call('PUT', 'settings/alerts', smtp());
    expect(put.json.smtp.password).toBe('••••word');
    for (const password of ['••••word', '', undefined]) expect((await call('PUT', 'settings/alerts', smtp({ password }))).json.smtp.password).toBe('••••word');
    const row = await app.prisma.setting.findUniqueOrThrow({ where: { key: SETTING_KEYS.alerts } });
    const { sealedPassword } = alertTransportSettingSchema.parse(row.value).smtp;
    expect(new KeyRing([KEY]).open(sealedPassword, sealedContext.smtpPassword)).toBe('the-smtp-password');
    const everything = JSON.stringify([row.value, await app.prisma.auditLog.findMany({ select: { metadata: true } })]);
    expect(everything).not.toContain('the-smtp-password');
    expect((await call('PUT', 'settings/alerts', smtp({ password: null }))).json.smtp.password).toBe('');
  });

  it('403 for everybody but super admins; 400 for a host without a sender, and for line breaks in it', async () => {
    expect((await call('GET', 'settings/alerts', undefined, undefined, viewer)).status).toBe(403);
    expect((await call('PUT', 'settings/alerts', smtp({ from: '' }))).status).toBe(400);
    expect((await call('PUT', 'settings/alerts', smtp({ from: 'a@b.c\r\nBcc: x@y.z' }))).status).toBe(400);
    expect((await call('PUT', 'settings/alerts', smtp({ port: 0 }))).status).toBe(400);
  });

  it('204: sends a test mail over a real connection', async () => {
    const server = await smtpServer();
    await call('PUT', 'settings/alerts', smtp({ port: server.port, username: '', password: null }));
    expect((await call('POST', 'settings/alerts/test-email', { email: 'Ops@Example.com' })).status).toBe(204);
    expect(server.received()).toContain('RCPT TO:<ops@example.com>');
    expect(server.received()).toContain('Subject: [Open Model Gateway]');
    expect(await app.prisma.auditLog.count({ where: { action: 'settings.alerts.test' } })).toBe(1);
    server.close();
  });

  it('502: a server that is not there, one that lacks the TLS asked for, one that says nothing; never its text', async () => {
    const server = await smtpServer();
    await call('PUT', 'settings/alerts', smtp({ port: server.port, use_tls: true }));
    expect((await call('POST', 'settings/alerts/test-email', { email: 'a@b.de' })).json).toMatchObject({ code: 'delivery_failed' });
    await call('PUT', 'settings/alerts', smtp({ port: await freePort() }));
    expect((await call('POST', 'settings/alerts/test-email', { email: 'a@b.de' })).status).toBe(502);
    const silent = await smtpServer({ silent: true });
    await call('PUT', 'settings/alerts', smtp({ port: silent.port, connect_timeout_seconds: 0.3 }));
    expect((await within(3000, call('POST', 'settings/alerts/test-email', { email: 'a@b.de' }))).json.error).toContain('timeout');
    server.close();
    silent.close();
  });

  it('400: without a mail server, and for an address that is none', async () => {
    await app.prisma.setting.deleteMany({ where: { key: SETTING_KEYS.alerts } });
    expect((await call('POST', 'settings/alerts/test-email', { email: 'a@b.de' })).status).toBe(400);
    expect((await call('POST', 'settings/alerts/test-email', { email: 'nobody' })).status).toBe(400);
  });
});

describe('default models', () => {
  const models = async () => (await call('GET', 'settings/default-models', undefined, undefined, viewer)).json.models;

  it('keep the case of their alias, reach every personal tenant at once, and leave its own list alone', async () => {
    const made = ['Mixed-Case', 'other'].map((alias) =>
      app.prisma.modelAlias.create({
        data: { key: alias.toLowerCase(), alias, routes: { create: { id: randomUUID(), identity: 'i', source: 'config', provider: 'p', providerModel: 'm' } } },
      }),
    );
    await Promise.all(made);
    const [follower, restricted] = [(await app.user('follower@example.com')).personalTenantId!, (await app.user('restricted@example.com')).personalTenantId!];
    await call('PUT', `tenants/${restricted}/models`, { models: ['other'] });
    const added = await call('POST', 'settings/default-models', { alias: 'mixed-CASE' });
    expect([added.status, added.json, await models()]).toEqual([201, { alias: 'Mixed-Case' }, ['Mixed-Case']]);
    expect((await call('GET', `tenants/${follower}/models`)).json).toEqual({ models: ['Mixed-Case'] });
    expect((await call('GET', `tenants/${restricted}/models`)).json).toEqual({ models: ['other'] });
    expect((await call('DELETE', 'settings/default-models/MIXED-case')).status).toBe(204);
    expect([await models(), (await call('GET', `tenants/${follower}/models`)).json.models]).toEqual([[], []]);
  });

  it('400 for a model that is not in the catalog, 404 for one that is no default, 403 for everybody but super admins', async () => {
    expect((await call('POST', 'settings/default-models', { alias: 'nobody' })).status).toBe(400);
    expect((await call('DELETE', 'settings/default-models/nobody')).status).toBe(404);
    expect((await call('POST', 'settings/default-models', { alias: 'other' }, undefined, viewer)).status).toBe(403);
  });
});

describe.each([
  ['files', { max_size_mb: 200, default_ttl_seconds: 604_800, max_ttl_seconds: 2_592_000 }],
  ['batches', { max_requests: 5_000, max_concurrency: 50, default_ttl_seconds: 604_800, max_ttl_seconds: 2_592_000 }],
])('limits of %s', (name, initial: Record<string, number>) => {
  it('200: begin with the defaults, keep what was changed, and the change is audited', async () => {
    expect((await call('GET', `settings/${name}`)).json).toEqual({ ...initial, version: 0 });
    const changed = { ...initial, max_ttl_seconds: 604_800 };
    expect((await call('PUT', `settings/${name}`, changed, { 'if-match': '"0"' })).json).toEqual({ ...changed, version: 1 });
    expect((await call('GET', `settings/${name}`)).json).toEqual({ ...changed, version: 1 });
    expect((await call('PUT', `settings/${name}`, changed, { 'if-match': '"0"' })).status).toBe(409);
    const [log] = (await call('GET', `audit/logs?action=settings.${name}.update`)).json.logs;
    expect(log.metadata).toMatchObject({ ...changed, before: { max_ttl_seconds: 2_592_000 }, after: { max_ttl_seconds: 604_800 } });
  });

  it('400 for zero, and for a default above its maximum; 403 for everybody but super admins', async () => {
    for (const field of Object.keys(initial)) expect((await call('PUT', `settings/${name}`, { ...initial, [field]: 0 })).status).toBe(400);
    expect((await call('PUT', `settings/${name}`, { ...initial, default_ttl_seconds: 2_592_001 })).status).toBe(400);
    for (const method of ['GET', 'PUT'])
      expect((await call(method, `settings/${name}`, method === 'PUT' ? initial : undefined, undefined, viewer)).status).toBe(403);
  });
});

describe('providers', () => {
  it('200: lists all of them by name with what they can do', async () => {
    const { providers } = (await call('GET', 'providers', undefined, undefined, viewer)).json;
    expect(providers.map((provider: any) => provider.name)).toEqual([...providers.map((provider: any) => provider.name)].sort());
    expect(providers.find((provider: any) => provider.name === 'openai-compatible')).toMatchObject({
      capabilities: expect.arrayContaining(['chat', 'chat_stream', 'embeddings']),
      secret_settings: ['api_key'],
    });
  });
});

/** Enough of SMTP to take a mail. */
async function smtpServer(options: { silent?: boolean } = {}): Promise<{ port: number; received(): string; close(): void }> {
  let text = '';
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (options.silent) return;
    let inData = false;
    socket.write('220 test ESMTP\r\n');
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (inData) {
        if (!text.endsWith('\r\n.\r\n')) return;
        inData = false;
        socket.write('250 queued\r\n');
        return;
      }
      const verb = chunk.toString().slice(0, 4).toUpperCase();
      if (verb === 'DATA') inData = true;
      socket.write(verb === 'DATA' ? '354 go on\r\n' : verb === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    received: () => text,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
