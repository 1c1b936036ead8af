import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { PASSWORD, startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import type { UserRow } from '../users/user-body.js';

let fixture: AdminAppFixture;
let tenantId: string;
let owner: UserRow;
let admin: UserRow;
let ownerToken: string;
let adminToken: string;
let root: UserRow;
let rootToken: string;

beforeAll(async () => {
  fixture = await startAdminApp();
  root = await fixture.user('root@example.com', { superAdmin: true });
  rootToken = await fixture.signIn(root.email);
});
beforeEach(async () => {
  tenantId = await fixture.tenant();
  owner = await fixture.user(`owner-${tenantId}@example.com`, { memberships: { [tenantId]: 'owner' } });
  admin = await fixture.user(`admin-${tenantId}@example.com`, { memberships: { [tenantId]: 'admin' } });
  ownerToken = await fixture.signIn(owner.email);
  adminToken = await fixture.signIn(admin.email);
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const mail = (): string => `m-${randomUUID()}@example.com`;
const upsert = (token: string, body: unknown, id = tenantId) => fixture.call('POST', `/admin/tenants/${id}/memberships`, { token, body });
const remove = (token: string, userId: string, id = tenantId) => fixture.call('DELETE', `/admin/tenants/${id}/memberships/${userId}`, { token });
const roles = async () => Object.fromEntries((await fixture.prisma.membership.findMany({ where: { tenantId } })).map(({ userId, role }) => [userId, role]));
const lastAudit = () => fixture.prisma.auditLog.findFirstOrThrow({ where: { tenantId }, orderBy: { seq: 'desc' } });

describe('memberships', () => {
  it('adds an unknown mail as a new account with personal tenant, in any case, and audits it', async () => {
    const email = mail();
    const answer = await upsert(ownerToken, { email: email.toUpperCase(), role: 'VIEWER', password: PASSWORD });
    expect([answer.status, answer.json.email, answer.json.role]).toEqual([201, email, 'viewer']);
    const user = await fixture.prisma.user.findUniqueOrThrow({ where: { email } });
    expect(user.personalTenantId).not.toBeNull();
    await fixture.signIn(email);
    expect(await lastAudit()).toMatchObject({
      action: 'membership.upsert',
      resource: 'tenant',
      resourceId: tenantId,
      userId: owner.id,
      metadata: { user_id: user.id, role: 'viewer' },
    });
    const list = await fixture.call('GET', `/admin/tenants/${tenantId}/memberships`, { token: adminToken });
    expect(list.json.memberships.map((row: any) => row.email)).toEqual([...list.json.memberships.map((row: any) => row.email)].sort());
  });

  it('change only from the version that a request names: of two at once one wins, and one that lost the race removes nobody', async () => {
    const email = mail();
    const change = (method: string, place: string, version: number, body?: unknown) =>
      fixture.call(method, `/admin/tenants/${tenantId}/memberships${place}`, { token: ownerToken, body, headers: { 'if-match': `"${version}"` } });
    const added = await Promise.all([1, 2].map(() => change('POST', '', 0, { email, role: 'viewer' })));
    expect(added.map(({ status }) => status).sort()).toEqual([201, 409]);
    const { user_id: userId, version } = added.find(({ status }) => status === 201)!.json;
    const both = await Promise.all(['admin', 'user'].map((role) => change('POST', '', version, { email, role })));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
    const changed = both.find(({ status }) => status === 201)!;
    expect([changed.json.version, changed.headers['etag']]).toEqual([version + 1, `"${version + 1}"`]);
    expect((await change('DELETE', `/${userId}`, version)).json.code).toBe('version_conflict');
    expect((await roles())[userId]).toBe(changed.json.role);
    expect((await change('DELETE', `/${userId}`, version + 1)).status).toBe(204);
  });

  it('never touches the password of an account that exists', async () => {
    for (const target of [root.email, admin.email]) {
      const answer = await upsert(ownerToken, { email: target, role: 'viewer', password: 'taken over now' });
      expect([answer.status, answer.json.code]).toEqual([409, 'account_exists']);
    }
    const byRoot = await fixture.call('POST', '/admin/users', { token: rootToken, body: { email: owner.email, password: 'taken over now' } });
    expect([byRoot.status, byRoot.json.code]).toEqual([409, 'account_exists']);
    await fixture.signIn(root.email);
    await fixture.signIn(admin.email);
    const unchanged = await fixture.call('POST', '/admin/users', { token: rootToken, body: { email: owner.email.toUpperCase(), name: 'Other name' } });
    expect([unchanged.status, unchanged.json.name]).toEqual([200, owner.name]);
  });

  it('keeps the last owner, whoever asks', async () => {
    for (const token of [ownerToken, rootToken]) {
      const answers = [await remove(token, owner.id), await upsert(token, { email: owner.email, role: 'admin' })];
      for (const answer of answers) expect([answer.status, answer.json.code]).toEqual([409, 'last_owner']);
    }
    expect((await roles())[owner.id]).toBe('owner');
  });

  it('lets one of two owners go, also when both go at the same moment', async () => {
    const second = await fixture.user(mail(), { memberships: { [tenantId]: 'owner' } });
    const secondToken = await fixture.signIn(second.email);
    const answers = await Promise.all([remove(ownerToken, second.id), remove(secondToken, owner.id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual(expect.arrayContaining([204]));
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    expect(Object.values(await roles()).filter((role) => role === 'owner')).toHaveLength(1);
  });

  it('an admin changes nobody, owners least', async () => {
    expect((await upsert(adminToken, { email: owner.email, role: 'viewer' })).status).toBe(403);
    expect((await upsert(adminToken, { email: admin.email, role: 'owner' })).status).toBe(403);
    expect((await remove(adminToken, owner.id)).status).toBe(403);
    expect(await roles()).toEqual({ [owner.id]: 'owner', [admin.id]: 'admin' });
  });

  it('answers 404 for who is no member, like for who does not exist', async () => {
    const stranger = await fixture.user(mail());
    const answers = [await remove(ownerToken, stranger.id), await remove(ownerToken, randomUUID())];
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [404, answers[0]!.text],
      [404, answers[0]!.text],
    ]);
  });

  it('leaves personal tenants as they are', async () => {
    for (const token of [rootToken, ownerToken]) {
      const answer = await upsert(token, { email: admin.email, role: 'viewer' }, owner.personalTenantId!);
      expect([answer.status, answer.json.code]).toEqual([409, 'personal_tenant']);
      expect((await remove(token, owner.id, owner.personalTenantId!)).status).toBe(409);
    }
  });

  it('ignores fields that a caller has no business to set', async () => {
    const email = mail();
    const answer = await upsert(ownerToken, {
      email,
      role: 'user',
      is_super_admin: true,
      isSuperAdmin: true,
      bootstrapped: true,
      tenant_id: randomUUID(),
      user_id: root.id,
    });
    expect([answer.status, answer.json.tenant_id]).toEqual([201, tenantId]);
    const user = await fixture.prisma.user.findUniqueOrThrow({ where: { email } });
    expect([user.isSuperAdmin, user.bootstrapped]).toEqual([false, false]);
    const made = await fixture.call('POST', '/admin/users', {
      token: rootToken,
      body: { email: mail(), is_super_admin: true, id: randomUUID(), personal_tenant_id: tenantId },
    });
    expect([made.status, made.json.is_super_admin, made.json.personal_tenant_id === tenantId]).toEqual([201, false, false]);
  });

  it.each([
    {},
    { email: 'no address', role: 'user' },
    { email: 'a@b.co', role: 'god' },
    { email: 'a@b.co', role: 'user', password: 'short' },
    { email: ['a@b.co'], role: 'user' },
  ])('answers 400 to %j', async (body) => {
    expect((await upsert(ownerToken, body)).status).toBe(400);
  });
});

describe('users', () => {
  it('an administrator sees who shares an organization with him, and nobody else', async () => {
    const stranger = await fixture.user(mail());
    const list = await fixture.call('GET', '/admin/users?limit=200', { token: adminToken });
    expect(list.json.users.map((user: any) => user.id).sort()).toEqual([owner.id, admin.id].sort());
    expect(list.json.total).toBe(2);
    const tenants = (id: string, token = adminToken) => fixture.call('GET', `/admin/users/${id}/tenants`, { token });
    expect((await tenants(owner.id)).json.tenants).toMatchObject([{ tenant_id: tenantId, role: 'owner', status: 'active' }]);
    expect((await tenants(stranger.id)).text).toBe((await tenants(randomUUID())).text);
    expect((await tenants(stranger.id)).status).toBe(404);
    expect((await fixture.call('GET', '/admin/users?limit=1', { token: rootToken })).json.total).toBeGreaterThan(3);
  });
});
