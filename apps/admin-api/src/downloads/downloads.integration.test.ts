import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAdminClient, downloadUrl } from '@omg/admin-client';
import { JwtService } from '@nestjs/jwt';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { RouteRules } from '../http/route-rules.js';
import { PASSWORD, startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

/** Every route that answers CSV is walked; this says what some of them cannot do without. */
const NEEDED: Record<string, () => string> = {
  '/admin/usage/compare': () => `?tenant_ids=${tenant}`,
  '/admin/usage/tenant/daily': () => `?tenant_id=${tenant}`,
  '/admin/usage/user/daily': () => `?user_id=${userId}`,
  '/admin/usage/model/daily': () => '?model_alias=some-model',
};

let fixture: AdminAppFixture;
let root: string;
let tenant: string;
let other: string;
let userId: string;
let keyId: string;
let downloads: string[];

beforeAll(async () => {
  fixture = await startAdminApp();
  tenant = await fixture.tenant('=own');
  other = await fixture.tenant('other');
  userId = (await fixture.user('root@example.com', { superAdmin: true })).id;
  root = await fixture.signIn('root@example.com');
  keyId = (await fixture.call('POST', `/admin/tenants/${tenant}/api-keys`, { token: root, body: { name: 'k' } })).json.api_key.id;
  const csv = fixture.app
    .get(RouteRules)
    .list()
    .filter((rule) => rule.csv);
  downloads = csv.map(({ path }) => path.replace(':tenantId', tenant).replace(':keyId', keyId) + (NEEDED[path]?.() ?? ''));
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const makeLink = (path: string, token = root) => fixture.call('POST', '/admin/downloads', { token, body: { path } });
const linkTo = async (path: string, token = root): Promise<string> => (await makeLink(path, token)).json.url;
const open = (url: string, method = 'GET') => fixture.call(method, url);

/** A viewer of `tenant`, signed in. */
async function viewer(): Promise<{ id: string; email: string; token: string }> {
  const email = `${randomUUID()}@example.com`;
  const { id } = await fixture.user(email, { memberships: { [tenant]: 'viewer' } });
  return { id, email, token: await fixture.signIn(email) };
}

describe('a download link', () => {
  it('gives every report that comes as CSV what a bearer token gives, without a header and as a file', async () => {
    expect(downloads.length).toBeGreaterThan(11);
    for (const path of downloads) {
      const made = await makeLink(path);
      expect([path, made.status]).toEqual([path, 201]);
      expect(Date.parse(made.json.expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
      const direct = async (): Promise<string> => (await fixture.call('GET', path, { token: root, headers: { accept: 'text/csv' } })).text;
      const before = await direct();
      const answer = await open(made.json.url);
      expect([path, answer.status, answer.headers['content-type']]).toEqual([path, 200, 'text/csv; charset=utf-8']);
      expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="[a-z-]+\.csv"$/);
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
      // A report that ends now may change between two of them.
      expect([before, await direct()]).toContain(answer.text);
    }
  });

  it('opens nothing but its own address', async () => {
    const path = `/admin/usage/summary?tenant_id=${tenant}`;
    const url = await linkTo(path);
    const token = url.split('download_token=')[1]!;
    expect((await open(url)).status).toBe(200);
    const foreign = [
      url.replace(tenant, other),
      url.replace('summary', 'breakdown'),
      url.replace('format=csv', 'format=json'),
      url.replace('format=csv', 'format=csv&period=366d'),
      `${url}&period=366d`,
      `${path}&download_token=${token}`,
      `/admin/users?format=csv&download_token=${token}`,
      `/admin/auth/me?format=csv&download_token=${token}`,
      `${url.slice(0, -2)}${url.endsWith('AA') ? 'BB' : 'AA'}`,
      `${url}&download_token=${token}`,
      url.replace(/&download_token=.*/, '&download_token='),
    ];
    for (const address of foreign) expect([address, (await open(address)).status]).toEqual([address, 401]);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']) expect([method, (await open(url, method)).status >= 400]).toEqual([method, true]);
    for (const [index, own] of downloads.entries()) {
      const [, signature] = (await linkTo(own)).split('&download_token=');
      const [target] = (await linkTo(downloads[(index + 1) % downloads.length]!)).split('&download_token=');
      expect([own, target, (await open(`${target}&download_token=${signature}`)).status]).toEqual([own, target, 401]);
    }
    // It is no access token either, nor one a link.
    expect((await fixture.call('GET', path, { token })).status).toBe(401);
    expect((await open(url.replace(token, root))).status).toBe(401);
  });

  it('ends after a minute', async () => {
    const jwt = new JwtService({});
    for (const path of downloads) {
      const [target, token] = (await linkTo(path)).split('&download_token=') as [string, string];
      const claims = jwt.decode<Record<string, number>>(token);
      expect(claims['exp']! - claims['iat']!).toBe(60);
      const signed = (exp: number): string => jwt.sign({ ...claims, exp }, { secret: 'a test secret of more than 32 bytes' });
      const now = Math.floor(Date.now() / 1000);
      expect([path, (await open(`${target}&download_token=${signed(now + 30)}`)).status]).toEqual([path, 200]);
      expect([path, (await open(`${target}&download_token=${signed(now - 1)}`)).status]).toEqual([path, 401]);
    }
  });

  it('shows no more than its maker may see when it is opened', async () => {
    const someone = await viewer();
    const path = `/admin/usage/summary?tenant_id=${tenant}`;
    const url = await linkTo(path, someone.token);
    expect((await open(url)).status).toBe(200);
    expect((await open(await linkTo(`/admin/usage/summary?tenant_id=${other}`, someone.token))).status).toBe(403);
    const links = await Promise.all(downloads.map((path) => linkTo(path, someone.token)));
    await fixture.prisma.membership.update({ where: { tenantId_userId: { tenantId: tenant, userId: someone.id } }, data: { role: 'user' } });
    for (const link of [url, ...links]) expect([link, (await open(link)).status]).toEqual([link, 403]);
  });

  it('ends with the login or the admin token that made it, and with the account', async () => {
    const [loggedOut, reset, removed] = [await viewer(), await viewer(), await viewer()];
    const path = `/admin/usage/summary?tenant_id=${tenant}`;
    const made = await fixture.call('POST', '/admin/tokens', { token: root, body: { name: 'machine', tenant_id: tenant, role: 'viewer' } });
    const links = new Map<string, string>();
    for (const [name, token] of Object.entries({
      loggedOut: loggedOut.token,
      reset: reset.token,
      removed: removed.token,
      machine: made.json.token as string,
    })) {
      links.set(name, await linkTo(path, token));
      expect([name, (await open(links.get(name)!)).status]).toEqual([name, 200]);
    }
    await fixture.prisma.refreshTokenFamily.updateMany({ where: { userId: loggedOut.id }, data: { revokedAt: new Date() } });
    await fixture.call('POST', `/admin/users/${reset.id}/password`, { token: root, body: { password: `${PASSWORD}!` } });
    await fixture.prisma.user.delete({ where: { id: removed.id } });
    await fixture.call('DELETE', `/admin/tokens/${made.json.admin_token.id}`, { token: root });
    for (const [name, url] of links) expect([name, (await open(url)).status]).toEqual([name, 401]);
  });

  it('is made for downloads only, and by nobody without a credential', async () => {
    for (const path of [
      '/admin/users',
      '/admin/model-catalog',
      '/admin/auth/me',
      '/v1/models',
      'https://evil.example/admin/usage/summary',
      '/admin/usage/summary?format=json',
    ])
      expect([path, (await makeLink(path)).status]).toEqual([path, 400]);
    for (const body of [{}, { path: 7 }, { path: `/admin/usage/summary?${'x'.repeat(5000)}` }])
      expect((await fixture.call('POST', '/admin/downloads', { token: root, body })).status).toBe(400);
    expect((await fixture.call('POST', '/admin/downloads', { body: { path: '/admin/usage/summary' } })).status).toBe(401);
  });

  it('comes from the client package as a whole address', async () => {
    await fixture.app.listen(0, '127.0.0.1');
    const baseUrl = await fixture.app.getUrl();
    const url = await downloadUrl(createAdminClient({ baseUrl, token: root }), `${baseUrl}/`, '/admin/usage/summary?period=1d');
    const answer = await fetch(url);
    expect([answer.status, (await answer.text()).split(',')[0]]).toEqual([200, 'date']);
  });
});
