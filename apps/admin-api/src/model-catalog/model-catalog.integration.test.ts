import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, type FakeUpstream } from '@omg/testkit';
import { listProviders } from '@omg/providers';
import { startAdminApp, type AdminAppFixture, type Answer } from '../testing/admin-app.fixture.js';
import { newId } from '../new-id.js';

let app: AdminAppFixture;
let admin: string;
let viewer: string;
let upstream: FakeUpstream;
let count = 0;
const fresh = () => `Model-${++count}`;

beforeAll(async () => {
  upstream = await startFakeUpstream(async (exchange) => {
    const body = JSON.stringify({ object: 'list', data: [] });
    await exchange.head(200, { 'content-type': 'application/json', 'content-length': String(body.length) });
    await exchange.write(body);
  });
  app = await startAdminApp({ environment: { ROUTER_SECURITY_UPSTREAM_ALLOWLIST: '127.0.0.1' } });
  await app.user('root@example.com', { superAdmin: true });
  const tenant = await app.tenant();
  await app.user('viewer@example.com', { memberships: { [tenant]: 'viewer' } });
  admin = await app.signIn('root@example.com');
  viewer = await app.signIn('viewer@example.com');
});
afterAll(async () => {
  await app.close();
  await cleanUp();
});

const entry = (alias: string, over: object = {}) => ({
  alias,
  provider: 'openai_compatible',
  provider_model: 'm',
  endpoint: `${upstream.origin}/v1`,
  api_key: 'a-secret-key-1234',
  price_input: 0.0005,
  price_output: 0.0015,
  ...over,
});
const post = (body: object, headers?: Record<string, string>): Promise<Answer> => app.call('POST', '/admin/model-catalog', { token: admin, body, headers });
const remove = (alias: string, query = '') => app.call('DELETE', `/admin/model-catalog/${encodeURIComponent(alias)}${query}`, { token: admin });
async function list(alias: string): Promise<any[]> {
  const { json } = await app.call('GET', '/admin/model-catalog', { token: viewer });
  return (json as { alias: string }[]).filter((item) => item.alias === alias);
}
/** A route as the start would have made it from the file. */
async function fromFile(alias: string): Promise<void> {
  const made = (await post(entry(alias))).json;
  await app.prisma.modelRoute.update({ where: { id: made.id }, data: { source: 'config' } });
}

describe('200', () => {
  it('makes a route with its defaults, shows it to viewers, and never shows the secret', async () => {
    const alias = fresh();
    const answer = await post(
      entry(alias, {
        metadata: { audio_voice: 'alloy', gcp_credentials_json: '{"private":"thing-9876"}' },
        openai_compatible: { api_key: 'block-secret-5678' },
      }),
    );
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      alias,
      provider: 'openai-compatible',
      deployment: 'm',
      enabled: true,
      weight: 100,
      model_type: 'llm',
      source: 'db',
      api_key: '••••1234',
      metadata: { audio_voice: 'alloy', gcp_credentials_json: expect.stringMatching(/^••••/) },
      provider_overrides: { api_key: '••••5678' },
      invalid_reason: null,
      price_input: 0.0005,
    });
    expect(await list(alias)).toEqual([answer.json]);
    const everything = JSON.stringify([
      await app.call('GET', '/admin/model-catalog', { token: viewer }),
      await app.prisma.modelRoute.findMany(),
      await app.prisma.auditLog.findMany({ select: { metadata: true } }),
    ]);
    for (const secret of ['a-secret-key', 'thing-9876', 'block-secret']) expect(everything).not.toContain(secret);
  });

  it('keeps a secret that comes back masked, empty or not at all, and takes a new one', async () => {
    const alias = fresh();
    await post(entry(alias));
    for (const api_key of ['••••1234', '', undefined])
      expect((await post(entry(alias, { api_key, weight: 5 }))).json).toMatchObject({ api_key: '••••1234', weight: 5 });
    expect((await post(entry(alias, { api_key: 'another-secret-4321' }))).json.api_key).toBe('••••4321');
    expect((await post(entry(alias, { api_key: null }))).json.api_key).toBe('');
  });

  it('adds routes with append, changes one by id, and answers 409 when it cannot know which is meant', async () => {
    const alias = fresh();
    const first = (await post(entry(alias))).json;
    const second = (await post(entry(alias, { append: true, provider_model: 'other' }))).json;
    expect((await list(alias)).map((route) => route.id)).toEqual([first.id, second.id]);
    expect((await post(entry(alias, { weight: 7 }))).status).toBe(409);
    expect((await post(entry(alias, { append: true }))).status).toBe(409);
    expect((await post(entry(alias, { id: second.id, provider_model: 'other', weight: 7 }))).json).toMatchObject({ id: second.id, weight: 7, version: 2 });
    expect((await remove(alias, `?id=${first.id}`)).status).toBe(204);
    expect((await list(alias)).map((route) => route.id)).toEqual([second.id]);
  });

  it('writes a price version only when a price changed, and keeps the old ones', async () => {
    const alias = fresh();
    await post(entry(alias));
    await post(entry(alias, { weight: 3 }));
    await post(entry(alias, { price_input: 0.0007 }));
    await post(entry(alias, { price_input: 0.0009, price_valid_from: new Date(Date.now() + 3_600_000).toISOString() }));
    const { json } = await app.call('GET', `/admin/model-catalog/${alias}/prices`, { token: viewer });
    expect(json.routes[0].versions.map((version: any) => [version.price_input, version.current])).toEqual([
      [0.0009, false],
      [0.0007, true],
      [0.0005, false],
    ]);
    expect((await list(alias))[0].price_input).toBe(0.0007);
  });

  it('shows an absent price as unknown, not as 0', async () => {
    expect((await post(entry(fresh(), { price_input: undefined, price_output: 0 }))).json).toMatchObject({ price_input: null, price_output: 0 });
  });

  it('keeps pricing tiers by which nothing is billed, and names them', async () => {
    const pricing_tiers = { input: [{ unit: 'tokens_per_million', price_per_unit: 1 }], tts: [{ unit: 'per_million_characters', price_per_unit: 15 }] };
    const alias = fresh();
    expect((await post(entry(alias, { pricing_tiers }))).json).toMatchObject({ pricing_tiers, unbilled_tiers: ['tts'] });
    expect(await list(alias)).toMatchObject([{ pricing_tiers, unbilled_tiers: ['tts'] }]);
    expect((await post(entry(alias, { pricing_tiers: { input: pricing_tiers.input } }))).json.unbilled_tiers).toEqual([]);
  });

  it('replaces a route of the configuration file by a row of its own, also when its place changes', async () => {
    const alias = fresh();
    await fromFile(alias);
    expect((await post(entry(alias, { weight: 9 }))).json).toMatchObject({ source: 'db', weight: 9, version: 2 });
    expect(await list(alias)).toHaveLength(1);
    expect((await post(entry(alias, { region: 'eu' }))).json).toMatchObject({ region: 'eu' });
    expect(await list(alias)).toHaveLength(1);
  });

  it('hides a removed route of the configuration file for good, and shows it when it is made again', async () => {
    const alias = fresh();
    await fromFile(alias);
    expect((await remove(alias.toUpperCase())).status).toBe(204);
    expect(await list(alias)).toEqual([]);
    expect((await remove(alias)).status).toBe(404);
    const tenantId = await app.tenant();
    expect((await app.call('GET', `/admin/tenants/${tenantId}/models`, { token: admin })).json.models).not.toContain(alias);
    expect((await app.call('PUT', `/admin/tenants/${tenantId}/models`, { token: admin, body: { models: [alias] } })).status).toBe(400);
    expect((await post(entry(alias))).status).toBe(200);
    expect(await list(alias)).toHaveLength(1);
  });

  it('takes a removed model from allowlists and default models', async () => {
    const alias = fresh();
    await post(entry(alias));
    const tenantId = await app.tenant();
    await app.call('PUT', `/admin/tenants/${tenantId}/models`, { token: admin, body: { models: [alias] } });
    await app.call('POST', '/admin/settings/default-models', { token: admin, body: { alias } });
    expect((await remove(alias)).status).toBe(204);
    // The tenant stays restricted: to nothing, not to everything.
    expect((await app.call('GET', `/admin/tenants/${tenantId}/models`, { token: admin })).json).toEqual({ models: [] });
    expect((await app.call('GET', '/admin/settings/default-models', { token: admin })).json.models).not.toContain(alias);
  });

  it('tests routes over real sockets: one that answers, one that is refused, one that cannot work', async () => {
    const alias = fresh();
    const good = (await post(entry(alias))).json;
    const closed = (await post(entry(alias, { append: true, provider_model: 'closed', endpoint: 'http://127.0.0.1:1/v1' }))).json;
    const broken = newId();
    await app.prisma.modelRoute.create({
      data: { id: broken, aliasKey: alias.toLowerCase(), identity: 'x', source: 'config', provider: 'no-such-provider', providerModel: 'x' },
    });
    const { status, json } = await app.call('POST', `/admin/model-catalog/${alias}/test`, { token: admin });
    expect(status).toBe(200);
    const byId = Object.fromEntries(json.results.map((result: any) => [result.id, result]));
    expect(byId[good.id]).toMatchObject({ ok: true });
    expect(byId[closed.id]).toMatchObject({ ok: false, error: 'network' });
    expect(byId[broken]).toMatchObject({ ok: false, error: 'invalid' });
    const one = await app.call('POST', `/admin/model-catalog/${alias}/test`, { token: admin, body: { id: good.id } });
    expect(one.json.results).toHaveLength(1);
  });

  it('explains which routes a request takes, and why not the others', async () => {
    const alias = fresh();
    const tools = (await post(entry(alias, { supports_tools: true, weight: 30 }))).json;
    const plain = (await post(entry(alias, { append: true, provider_model: 'plain', weight: 10 }))).json;
    const off = (await post(entry(alias, { append: true, provider_model: 'off', enabled: false }))).json;
    const explain = async (query: string) => (await app.call('GET', `/admin/routing/explain?model=${alias}${query}`, { token: viewer })).json;
    const odds = (json: any) => Object.fromEntries(json.routes.map((route: any) => [route.id, route.odds]));
    expect(odds(await explain(''))).toEqual({ [tools.id]: 0.75, [plain.id]: 0.25, [off.id]: 0 });
    const withTools = await explain('&tools=true');
    expect(odds(withTools)).toEqual({ [tools.id]: 1, [plain.id]: 0, [off.id]: 0 });
    expect(withTools.routes.map((route: any) => route.reason ?? null)).toEqual([null, 'parameter', 'disabled']);
    expect(await explain('&operation=embeddings')).toMatchObject({ outcome: { status: 400, why: 'operation' } });
  });

  it('tells how models stand: disabled, unknown without probes, offline when no route can be built', async () => {
    const [disabled, unknown, offline] = [fresh(), fresh(), fresh()];
    await post(entry(disabled, { enabled: false }));
    await post(entry(unknown));
    await post(entry(offline));
    await app.prisma.modelRoute.updateMany({ where: { aliasKey: offline.toLowerCase() }, data: { provider: 'no-such-provider' } });
    const { json } = await app.call('GET', '/admin/model-catalog/status', { token: viewer });
    const status = Object.fromEntries(json.statuses.map((item: any) => [item.alias, item.status]));
    expect(status).toMatchObject({ [disabled]: 'disabled', [unknown]: 'unknown', [offline]: 'offline' });
  });

  it('writes one audit row per change, with what changed', async () => {
    const alias = fresh();
    await post(entry(alias));
    await post(entry(alias, { weight: 2, api_key: 'another-secret-4321' }));
    await remove(alias);
    const rows = await app.prisma.auditLog.findMany({ where: { resource: 'model', resourceId: alias }, orderBy: { seq: 'asc' } });
    expect(rows.map((row) => row.action)).toEqual(['model_catalog.upsert', 'model_catalog.upsert', 'model_catalog.remove']);
    expect(rows[1]!.metadata).toMatchObject({ before: { weight: 100 }, after: { weight: 2 } });
  });
});

describe('secrets of every provider', () => {
  const PLACE: Record<string, string> = { endpoint: 'https://8.8.8.8', region: 'us-east-1' };
  const secretsOf = (secret: string) =>
    listProviders().flatMap(({ slug, secretSettings }) => [...secretSettings].map((name) => [slug, name, `${secret}-${slug}-${name}`]));

  it('are sealed in the database and masked in every answer and in the audit log, wherever they were written', async () => {
    const known: string[] = [];
    for (const source of ['provider_overrides', 'metadata'] as const) {
      for (const [provider, name, secret] of secretsOf(`very-secret-${source}`)) {
        const alias = fresh();
        const settings = {
          [name!]: secret!,
          ...(name!.startsWith('aws') && { aws_access_key_id: `very-secret-${source}-id`, aws_secret_access_key: `very-secret-${source}-key` }),
        };
        const answer = await post({
          alias,
          provider,
          provider_model: 'm',
          ...PLACE,
          ...(provider === 'vertex' && { metadata: { gcp_project_id: 'p' } }),
          [source]: { ...settings, gcp_project_id: 'p' },
        });
        // A provider may refuse a made-up secret, but never by repeating it.
        expect([provider, name, [200, 422].includes(answer.status)]).toEqual([provider, name, true]);
        expect(answer.text).not.toContain('very-secret');
        if (answer.status === 200) known.push(`${provider} ${name}`);
      }
    }
    expect(new Set(known).size).toBeGreaterThan(10);
    const shown =
      (await app.call('GET', '/admin/model-catalog', { token: viewer })).text + (await app.call('GET', '/admin/audit/logs?limit=200', { token: admin })).text;
    expect(shown).not.toContain('very-secret');
    expect(JSON.stringify([await app.prisma.modelRoute.findMany(), (await app.prisma.auditLog.findMany()).map(({ metadata }) => metadata)])).not.toContain(
      'very-secret',
    );
  });
});

describe('400', () => {
  it.each([
    ['no alias', { alias: ' ' }],
    ['an alias that is too long', { alias: 'x'.repeat(129) }],
    ['an unknown provider', { provider: 'acme' }],
    ['a negative weight', { weight: -1 }],
    ['a negative price', { price_input: -0.1 }],
    ['another currency', { currency: 'EUR' }],
    ['metadata that is no map', { metadata: ['a'] }],
    ['a setting name that is no name', { metadata: { 'a b': '1' } }],
    [
      'two kinds of units in a bucket',
      {
        pricing_tiers: {
          image: [
            { unit: 'per_image', price_per_unit: 1 },
            { unit: 'per_minute', price_per_unit: 1 },
          ],
        },
      },
      'pricing_tiers.image',
    ],
    ['a tier in the wrong unit', { pricing_tiers: { input: [{ unit: 'per_image', price_per_unit: 1 }] } }, 'pricing_tiers.input.0.unit'],
    ['a tier without a unit', { pricing_tiers: { input: [{ price_per_unit: 1 }] } }, 'pricing_tiers.input.0.unit'],
    ['a bucket that does not exist', { pricing_tiers: { pictures: [{ unit: 'per_image', price_per_unit: 1 }] } }, 'pricing_tiers'],
    ['a block that is no map', { openai_compatible: 'x' }],
    ['NUL in a name', { provider_model: 'a\u0000b' }],
  ] as [string, object, string?][])('%s', async (_what, over, field = '') => {
    const before = await app.prisma.modelRoute.count();
    const answer = await post(entry(fresh(), over));
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid_request']);
    expect(answer.json.error).toContain(field);
    expect(await app.prisma.modelRoute.count()).toBe(before);
  });

  it('does not let a stored secret follow a route to another host', async () => {
    const alias = fresh();
    await post(entry(alias));
    const moved = await post(entry(alias, { endpoint: 'https://evil.example.com/v1', api_key: '' }));
    expect([moved.status, moved.json.error]).toEqual([400, expect.stringContaining('api_key')]);
    expect((await post(entry(alias, { endpoint: 'https://other.example.com/v1', api_key: 'a-new-secret-0000' }))).status).toBe(200);
  });
});

describe('403, 404, 409, 422', () => {
  it('403: viewers read, they do not write or test', async () => {
    const alias = fresh();
    await post(entry(alias));
    for (const [method, path] of [
      ['POST', '/admin/model-catalog'],
      ['DELETE', `/admin/model-catalog/${alias}`],
      ['POST', `/admin/model-catalog/${alias}/test`],
    ] as const) {
      expect((await app.call(method, path, { token: viewer, ...(method === 'POST' && { body: entry(alias) }) })).status).toBe(403);
    }
    expect(await list(alias)).toHaveLength(1);
  });

  it('404: an unknown alias, and the id of a route of another alias', async () => {
    const [a, b] = [fresh(), fresh()];
    const other = (await post(entry(a))).json;
    await post(entry(b));
    expect((await post(entry(b, { id: other.id }))).status).toBe(404);
    expect((await remove('no-such-model')).status).toBe(404);
    expect((await app.call('GET', '/admin/routing/explain?model=no-such-model', { token: viewer })).status).toBe(404);
  });

  it('409: a change that is based on an older version changes nothing', async () => {
    const alias = fresh();
    const { version } = (await post(entry(alias))).json;
    const both = await Promise.all([1, 2].map((weight) => post(entry(alias, { weight }), { 'if-match': `"${version}"` })));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);
    expect((await list(alias))[0].version).toBe(version + 1);
  });

  it.each([
    ['a setting that the provider needs is missing', { endpoint: '' }],
    ['its address lies in a private network', { endpoint: 'http://10.0.0.1/v1' }],
    ['its address is a metadata service', { endpoint: 'http://169.254.169.254/v1' }],
  ])('422: %s, and nothing is saved', async (_what, over) => {
    const alias = fresh();
    const answer = await post(entry(alias, over));
    expect([answer.status, answer.json.code]).toEqual([422, 'unprocessable']);
    expect(await app.prisma.modelAlias.count({ where: { alias } })).toBe(0);
  });
});
