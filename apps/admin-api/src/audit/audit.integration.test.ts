import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPool, ledgerDatabase, verifyAuditChain, type PostgresPool } from '@omg/database';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { audit } from './audit.js';

let fixture: AdminAppFixture;
let root: string;
let admin: string;
let viewer: string;
let tenantId: string;
let pool: PostgresPool;

beforeAll(async () => {
  fixture = await startAdminApp();
  pool = createPool(fixture.database, { name: 'test' });
  tenantId = await fixture.tenant();
  await fixture.user('root@example.com', { superAdmin: true });
  await fixture.user('admin@example.com', { memberships: { [tenantId]: 'admin' } });
  await fixture.user('viewer@example.com', { memberships: { [tenantId]: 'viewer' } });
  root = await fixture.signIn('root@example.com');
  admin = await fixture.signIn('admin@example.com');
  viewer = await fixture.signIn('viewer@example.com');
});
afterAll(async () => {
  await pool?.end();
  await fixture?.close();
  await cleanUp();
});

const write = (entry: Partial<Parameters<typeof audit>[1]> = {}) =>
  fixture.prisma.$transaction((tx) =>
    audit(tx, { actor: { email: 'a@example.com' }, action: 'test.change', resource: 'test', resourceId: randomUUID(), ...entry }),
  );
const verify = () => ledgerDatabase(pool).transaction(verifyAuditChain);
const read = (query: string, token = root) => fixture.call('GET', `/admin/audit/logs?${query}`, { token });

describe('the audit log', () => {
  it('is a gapless chain, also when many transactions write at once', async () => {
    await Promise.all(Array.from({ length: 30 }, () => write()));
    const rows = await fixture.prisma.auditLog.findMany({ orderBy: { seq: 'asc' }, select: { seq: true } });
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_row, index) => BigInt(index + 1)));
    expect(await verify()).toEqual({ rows: rows.length, problems: [] });
  });

  it('leaves neither row nor gap when its transaction rolls back', async () => {
    const before = await fixture.prisma.auditLog.count();
    await expect(
      fixture.prisma.$transaction(async (tx) => {
        await audit(tx, { actor: {}, action: 'test.lost', resource: 'test', resourceId: 'x' });
        throw new Error('the change failed');
      }),
    ).rejects.toThrow();
    await write();
    expect(await fixture.prisma.auditLog.count()).toBe(before + 1);
    expect((await verify()).problems).toEqual([]);
  });

  it('keeps any value as it was, so that the chain can be checked: numbers, unicode, nesting, nothing', async () => {
    await write({
      before: { a: 1.5e300, b: 'ü\u2028😀', c: [1n, null, { z: 1, a: 2 }], d: new Date(0) },
      after: { a: 0.1, big: 2n ** 70n, long: 'x'.repeat(50_000) },
      metadata: { empty: {}, list: [] },
    });
    expect((await verify()).problems).toEqual([]);
  });

  it('holds before and after of changed fields, and no secret whatever it is handed', async () => {
    const resourceId = randomUUID();
    await write({
      resourceId,
      tenantId,
      before: { name: 'a', kept: 1, password: 'old-secret' },
      after: { name: 'b', kept: 1, password: 'new-secret' },
      metadata: { token: 'tok-secret', webhooks: ['https://u:pw-secret@h.example/?k=q-secret'] },
    });
    const { json, text } = await read(`resource_id=${resourceId}`);
    expect(json.logs[0].metadata).toMatchObject({ before: { name: 'a', password: '[redacted]' }, after: { name: 'b', password: '[redacted]' } });
    expect(json.logs[0].metadata.before.kept).toBeUndefined();
    expect(text).not.toMatch(/-secret/);
  });

  it('can be filtered and paged, newest first', async () => {
    const resource = `r-${randomUUID()}`;
    for (const action of ['one', 'two', 'three']) await write({ resource, action, tenantId });
    const page = (await read(`resource=${resource}&limit=2&offset=1`)).json;
    expect(page.logs.map((log: any) => log.action)).toEqual(['two', 'one']);
    expect([page.limit, page.offset, page.total]).toEqual([2, 1, 3]);
    expect((await read(`resource=${resource}&action=two`)).json.total).toBe(1);
    expect((await read(`resource=${resource}&tenant_id=${tenantId}`)).json.total).toBe(3);
    const start = encodeURIComponent(new Date(Date.now() + 60_000).toISOString());
    expect((await read(`resource=${resource}&start=${start}`)).json.total).toBe(0);
    for (const bad of ['limit=0', 'limit=201', 'offset=-1', 'start=now', 'user_id=1', 'start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z'])
      expect([bad, (await read(bad)).status]).toEqual([bad, 400]);
  });

  it('is for super admins, and for administrators of the tenant that they name', async () => {
    expect((await read(`tenant_id=${tenantId}`, admin)).status).toBe(200);
    expect((await read(`tenant_id=${tenantId}`, admin)).json.logs.every((log: any) => log.tenant_id === tenantId)).toBe(true);
    expect((await read('', admin)).status).toBe(403);
    expect((await read(`tenant_id=${tenantId}`, viewer)).status).toBe(403);
    expect((await read(`tenant_id=${await fixture.tenant()}`, admin)).status).toBe(403);
  });

  it('records sign-ins and failed ones', async () => {
    await fixture.call('POST', '/admin/auth/login', { body: { email: 'viewer@example.com', password: 'wrong' } });
    expect((await read('action=auth.login_failed')).json.logs[0]).toMatchObject({ user_email: 'viewer@example.com' });
    expect((await read('action=auth.login')).json.total).toBeGreaterThan(2);
  });

  it('keeps the rows of a user who goes, without his id, and the chain holds', async () => {
    const leaver = await fixture.user('leaver@example.com');
    await fixture.signIn('leaver@example.com');
    await fixture.prisma.membership.deleteMany({ where: { userId: leaver.id } });
    await fixture.prisma.user.delete({ where: { id: leaver.id } });
    const { logs } = (await read(`resource_id=${leaver.id}`)).json;
    expect(logs).toMatchObject([{ action: 'auth.login', user_email: 'leaver@example.com' }]);
    expect(logs[0]).not.toHaveProperty('user_id');
    expect((await verify()).problems).toEqual([]);
  });

  it('cannot be changed through the database; a forged row, a gap and a forged chain are found', async () => {
    await expect(fixture.prisma.auditLog.updateMany({ data: { action: 'forged' } })).rejects.toThrow();
    await expect(fixture.prisma.auditLog.deleteMany({})).rejects.toThrow();
    // As somebody with the rights of the table's owner could.
    await fixture.prisma.$executeRaw`ALTER TABLE audit_logs DISABLE TRIGGER USER`;
    await fixture.prisma.$executeRaw`UPDATE audit_logs SET action = 'forged' WHERE seq = 5`;
    await fixture.prisma.$executeRaw`DELETE FROM audit_logs WHERE seq = 9`;
    const { problems } = await verify();
    expect(problems).toEqual(['row 5 was changed', 'rows 9 to 9 are missing', 'row 10 does not follow from the row before it']);
  });
});
