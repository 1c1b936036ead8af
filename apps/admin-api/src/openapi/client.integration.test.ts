import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminApiError, buildProgram, createAdminClient, signIn, unwrap, type AdminClient } from '@omg/admin-client';
import { cleanUp } from '@omg/testkit';
import { PASSWORD, startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

let fixture: AdminAppFixture;
let baseUrl: string;
let client: AdminClient;

beforeAll(async () => {
  fixture = await startAdminApp();
  await fixture.user('root@example.com', { superAdmin: true });
  await fixture.app.listen(0, '127.0.0.1');
  baseUrl = await fixture.app.getUrl();
  client = await signIn({ baseUrl }, 'root@example.com', PASSWORD);
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

async function omgAdmin(...args: string[]): Promise<string> {
  let output = '';
  const program = buildProgram({ name: './omg admin', write: (text) => (output += text) }).exitOverride();
  await program.parseAsync(['--url', baseUrl, '--email', 'root@example.com', '--password', PASSWORD, ...args], { from: 'user' });
  return output;
}

describe('the typed client', () => {
  it('works against the running API with the types of its document', async () => {
    const made = await unwrap(client.POST('/admin/users', { body: { email: 'Ada@Example.com', name: 'Ada' } }));
    expect(made).toMatchObject({ email: 'ada@example.com', is_super_admin: false });
    const { users, total } = await unwrap(client.GET('/admin/users', { params: { query: { q: 'ada' } } }));
    expect([users[0]?.id, total]).toEqual([made.id, 1]);
  });

  it('turns refusals into errors with status, code and text', async () => {
    const refused = await unwrap(createAdminClient({ baseUrl }).GET('/admin/users', {})).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AdminApiError);
    expect(refused).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  it('acts with an admin API token, within its role and tenant, until it is revoked', async () => {
    const tenant = await unwrap(client.POST('/admin/tenants', { body: { name: 'bound', status: 'active' } }));
    const other = await unwrap(client.POST('/admin/tenants', { body: { name: 'other', status: 'active' } }));
    const { admin_token, token } = await unwrap(
      client.POST('/admin/tokens', { body: { name: 'ci', tenant_id: tenant.id, role: 'admin', expires_in_days: 1 } }),
    );
    expect(JSON.stringify(admin_token)).not.toContain(token);
    const machine = createAdminClient({ baseUrl, token });
    const issue = (tenantId: string) =>
      unwrap(machine.POST('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId } }, body: { name: 'by machine' } }));
    expect((await issue(tenant.id)).token).toMatch(/^sk-/);
    await expect(issue(other.id)).rejects.toMatchObject({ status: 403 });
    await expect(
      unwrap(machine.PATCH('/admin/tenants/{tenantId}', { params: { path: { tenantId: tenant.id } }, body: { name: 'renamed' } })),
    ).rejects.toMatchObject({ status: 403 });
    await expect(unwrap(machine.POST('/admin/users', { body: { email: 'x@example.com' } }))).rejects.toMatchObject({ status: 403 });
    await expect(unwrap(machine.POST('/admin/tokens', { body: { name: 'more' } }))).rejects.toMatchObject({ status: 403 });
    const row = await fixture.prisma.auditLog.findFirstOrThrow({ where: { action: 'api_key.create' }, orderBy: { seq: 'desc' } });
    expect(row.metadata).toMatchObject({ via: 'token', token_id: admin_token.id });
    await unwrap(client.DELETE('/admin/tokens/{tokenId}', { params: { path: { tokenId: admin_token.id } } }));
    await expect(issue(tenant.id)).rejects.toMatchObject({ status: 401 });
  });

  it('an expired token and one whose owner lost his role answer nothing more', async () => {
    const tenantId = await fixture.tenant();
    const owner = await fixture.user('owner@example.com', { memberships: { [tenantId]: 'owner' } });
    const person = await signIn({ baseUrl }, owner.email, PASSWORD);
    const { token, admin_token } = await unwrap(person.POST('/admin/tokens', { body: { name: 'all' } }));
    const machine = createAdminClient({ baseUrl, token });
    const read = () => machine.GET('/admin/tenants/{tenantId}/memberships', { params: { path: { tenantId } } }).then(({ response }) => response.status);
    expect(await read()).toBe(200);
    await fixture.prisma.membership.update({ where: { tenantId_userId: { tenantId, userId: owner.id } }, data: { role: 'viewer' } });
    expect(await read()).toBe(403);
    await fixture.prisma.adminToken.update({ where: { id: admin_token.id }, data: { expiresAt: new Date(Date.now() - 1) } });
    expect(await read()).toBe(401);
    await expect(unwrap(person.POST('/admin/tokens', { body: { name: 'above', tenant_id: tenantId, role: 'owner' } }))).rejects.toMatchObject({ status: 403 });
  });
});

describe('the command line', () => {
  it('creates a tenant, sets its budget, issues a key and shows spend', async () => {
    expect(await omgAdmin('tenants', 'create', 'by cli')).toContain('by cli');
    expect(await omgAdmin('budgets', 'set', 'by cli', '12.5', '--schedule', 'weekly')).toContain('12.5');
    expect(await omgAdmin('keys', 'issue', 'by cli', 'robot', '--rpm', '5')).toMatch(/^sk-[A-Za-z0-9]{10}\.[A-Za-z0-9]{48}\n$/);
    expect(await omgAdmin('keys', 'list', 'by cli')).toContain('robot');
    expect(await omgAdmin('budgets', 'history', 'by cli', '--windows', '2')).toContain('12.5');
    expect(await omgAdmin('models')).toContain('ALIAS');
    expect(await omgAdmin('models', 'list')).toBe(await omgAdmin('models'));
    const link = (await omgAdmin('download-link', '/admin/usage/summary?period=1d')).trim();
    expect((await fetch(link)).headers.get('content-disposition')).toBe('attachment; filename="usage-summary.csv"');
    expect(JSON.parse(await omgAdmin('--json', 'spend', '--tenant', 'by cli'))).toMatchObject({ group: 'tenant', items: [] });
  });

  it('refuses what it does not understand before it calls anything', async () => {
    await expect(omgAdmin('budgets', 'set', 'by cli', 'much')).rejects.toThrow();
    await expect(omgAdmin('keys', 'issue', 'no such tenant', 'x')).rejects.toThrow('no tenant named');
  });
});
