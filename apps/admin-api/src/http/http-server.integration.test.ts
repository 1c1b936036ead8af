import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { PASSWORD, startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

let app: AdminAppFixture;
let root: string;
let tenantId: string;

beforeAll(async () => {
  app = await startAdminApp({ environment: { ROUTER_SECURITY_UPSTREAM_ALLOWLIST: '127.0.0.1' } });
  await app.user('root@example.com', { superAdmin: true });
  root = await app.signIn('root@example.com');
  tenantId = await app.tenant();
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});

const call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => app.call(method, path, { token: root, body, headers });
const json = { 'content-type': 'application/json' };

describe('bodies', () => {
  it('an empty one is none, whatever its content type says', async () => {
    await call('PUT', `/admin/tenants/${tenantId}/budget`, { budget_usd: 5 });
    expect((await call('DELETE', `/admin/tenants/${tenantId}/budget`, undefined, json)).status).toBe(204);
    const login = await app.call('POST', '/admin/auth/login', { body: { email: 'root@example.com', password: PASSWORD } });
    const cookie = `og_admin_session=${login.json.refresh_token}`;
    const refreshed = await app.call('POST', '/admin/auth/refresh', { headers: { ...json, cookie } });
    expect([refreshed.status, refreshed.json.method]).toEqual([200, 'refresh']);
    expect((await app.call('POST', '/admin/auth/logout', { headers: { ...json, cookie: `og_admin_session=${refreshed.json.refresh_token}` } })).status).toBe(
      204,
    );
  });

  it('one of nothing but objects is refused before it is parsed, by whoever it comes', async () => {
    const login = { email: 'root@example.com', password: PASSWORD, x: Array.from({ length: 60_000 }, () => ({})) };
    expect(await app.call('POST', '/admin/auth/login', { body: login })).toMatchObject({ status: 400, json: { code: 'invalid_json' } });
  });

  it.each(['{', '{"name":', 'name=x', '{"a":1}}', '{"__proto__":{"x":1}}', '{"constructor":{"prototype":{"x":1}}}'])(
    '%s answers 400 invalid_json',
    async (body) => {
      const answer = await call('POST', '/admin/tenants', body);
      expect([answer.status, answer.json]).toEqual([400, { error: 'The request body is not valid JSON.', code: 'invalid_json' }]);
    },
  );

  it.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'application/xml'])(
    'of type %s answer 415: another site could post them without asking',
    async (type) => {
      const answer = await call('POST', '/admin/auth/login', 'email=root%40example.com&password=x', { 'content-type': type });
      expect([answer.status, answer.json?.code]).toEqual([415, 'unsupported_media_type']);
    },
  );

  it('over a megabyte answer 413', async () => {
    const answer = await call('POST', '/admin/tenants', `{"name":"${'x'.repeat(1_100_000)}"}`);
    expect([answer.status, answer.json?.code]).toEqual([413, 'request_too_large']);
  });
});

describe('addresses', () => {
  it.each([
    ['/admin/tenants/%zz', 400],
    ['/admin/tenants/%c3%28', 400],
    ['/admin/nothing', 404],
    ['/nothing', 404],
    [`/admin/model-catalog/${'x'.repeat(5_000)}/prices`, 414],
  ])('%s answers %d in the form of all errors', async (path, status) => {
    const answer = await call('GET', path);
    expect([status, 400]).toContain(answer.status);
    expect(Object.keys(answer.json).sort()).toEqual(['code', 'error']);
  });

  it('take an alias of 128 characters with slashes, spaces and any script', async () => {
    for (const alias of [`org/${'x'.repeat(124)}`, `模型/${'ü'.repeat(120)} 7`, 'a%2Fb', "a'; DROP TABLE tenants; --"]) {
      const made = await call('POST', '/admin/model-catalog', { alias, provider: 'openai-compatible', provider_model: 'm', endpoint: 'http://127.0.0.1:9/v1' });
      expect([alias, made.status]).toEqual([alias, 200]);
      const place = `/admin/model-catalog/${encodeURIComponent(alias)}`;
      expect((await call('GET', `${place}/prices`)).json.alias).toBe(alias);
      expect((await call('DELETE', place)).status).toBe(204);
      expect((await call('DELETE', place)).status).toBe(404);
    }
  });

  it.each(['x', '1', '0', 'null', `${randomUUID()}0`, '%27%20OR%201=1--'])('an id such as %s answers 400 invalid_id, wherever it stands', async (id) => {
    for (const path of [`tenants/${id}/budget`, `tenants/${tenantId}/api-keys/${id}`, `users/${id}/tenants`]) {
      const answer = await call('GET', `/admin/${path}`);
      expect([path, answer.status, answer.json.code]).toEqual([path, 400, 'invalid_id']);
    }
  });

  it.each(['limit=0', 'limit=201', 'limit=-1', 'limit=', 'limit=ten', 'limit=1e2', 'limit=0x10', 'limit=1.5', 'limit=%201', 'limit=1&limit=2', 'offset=-1'])(
    'a page with %s answers 400',
    async (query) => {
      for (const list of ['tenants', 'tenants/personal', 'users', 'audit/logs', 'budgets/alerts', 'usage/api-keys', 'tokens'])
        expect([list, (await call('GET', `/admin/${list}?${query}`)).status]).toEqual([list, 400]);
    },
  );

  it.each(['offset=100001', 'offset=99999999999999999999'])('a page as deep as %s answers 400', async (query) => {
    expect((await call('GET', `/admin/tenants?${query}`)).status).toBe(400);
  });
});

describe('answers', () => {
  it('are kept by no cache', async () => {
    for (const path of ['/admin/tenants', '/admin/nothing', '/admin/auth/methods', '/admin/usage/summary?format=csv'])
      expect([path, (await call('GET', path)).headers['cache-control']]).toEqual([path, 'no-store']);
  });

  it('carry the version of what they show as ETag, and the change after it may name it in If-Match', async () => {
    const place = `/admin/tenants/${tenantId}`;
    const first = await call('GET', place);
    expect(first.headers['etag']).toBe(`"${first.json.version}"`);
    const etag = String(first.headers['etag']);
    const renamed = await call('PATCH', place, { name: `x ${randomUUID()}` }, { 'if-match': etag });
    expect([renamed.status, renamed.headers['etag']]).toEqual([200, `"${renamed.json.version}"`]);
    expect((await call('PATCH', place, { name: 'y' }, { 'if-match': etag })).json.code).toBe('version_conflict');
    const models = await call('PUT', `${place}/models`, { models: [] }, { 'if-match': String(renamed.headers['etag']) });
    expect([models.status, (await call('GET', `${place}/models`)).headers['etag']]).toEqual([200, models.headers['etag']]);
    const limits = { requests_per_minute: 1, tokens_per_minute: 0, parallel_requests: 0 };
    const limited = await call('PUT', `${place}/rate-limits`, limits, { 'if-match': String(models.headers['etag']) });
    expect([limited.status, (await call('GET', `${place}/rate-limits`)).headers['etag']]).toEqual([200, limited.headers['etag']]);
    expect((await call('DELETE', `${place}/models`, undefined, { 'if-match': String(models.headers['etag']) })).status).toBe(409);
  });

  it('version 0 makes a change that only ever creates', async () => {
    const entry = (alias: string) => ({ alias, provider: 'openai-compatible', provider_model: 'm', endpoint: 'http://127.0.0.1:9/v1' });
    const alias = `new-${randomUUID()}`;
    expect((await call('POST', '/admin/model-catalog', entry(alias), { 'if-match': '"0"' })).status).toBe(200);
    expect((await call('POST', '/admin/model-catalog', entry(alias), { 'if-match': '"0"' })).status).toBe(409);
    expect((await call('POST', '/admin/model-catalog', entry(`other-${alias}`), { 'if-match': '"7"' })).status).toBe(409);
  });
});
