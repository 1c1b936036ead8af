import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { bookUsage, randomRows } from './random-usage.fixture.js';
import { UsageDaysJob } from './usage-days.job.js';

/** Summer time begins or ends in four of them in the months below; three are no whole hours from UTC. */
const ZONES = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Australia/Lord_Howe'];
const MODELS = ['gpt-4o', 'claude', 'Embed-Small'] as const;
const DAY_MS = 86_400_000;

let fixture: AdminAppFixture;
let root: string;
let viewer: string;
let userId: string;
let tenantIds: string[];
let keyIds: string[];
let ownedKey: string;

beforeAll(async () => {
  fixture = await startAdminApp();
  tenantIds = [await fixture.tenant('alpha'), await fixture.tenant('beta'), await fixture.tenant('=gamma, "quoted"')];
  userId = (await fixture.user('viewer@example.com', { memberships: { [tenantIds[0]!]: 'viewer', [tenantIds[1]!]: 'user' } })).id;
  await fixture.user('root@example.com', { superAdmin: true });
  const keyTenant = new Map<string, string>();
  keyIds = [];
  for (const [index, tenantId] of [...tenantIds, ...tenantIds].entries()) {
    const id = randomUUID();
    keyIds.push(id);
    keyTenant.set(id, tenantId);
    await fixture.prisma.apiKey.create({
      data: {
        id,
        tenantId,
        prefix: `p${index}`,
        secretDigest: new Uint8Array(32),
        lastFour: '0000',
        name: `key ${index}`,
        ownerUserId: index === 0 ? userId : null,
      },
    });
  }
  ownedKey = keyIds[0]!;
  const source = { tenantIds, keyIds, models: MODELS, keyTenant };
  await bookUsage(fixture.prisma, randomRows(source, 3_000, Date.parse('2026-03-01T00:00:00Z'), Date.parse('2026-05-01T00:00:00Z')));
  await bookUsage(fixture.prisma, randomRows(source, 2_000, Date.now() - 40 * DAY_MS, Date.now()));
  root = await fixture.signIn('root@example.com');
  viewer = await fixture.signIn('viewer@example.com');
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const get = (path: string, token = root) => fixture.call('GET', path, { token });

interface Scan {
  key: string;
  requests: number;
  tokens: number;
  cost: bigint;
}

/** The truth: a scan over the rows, with Postgres's own idea of timezones. */
async function scan(keyExpression: string, start: string, end: string, condition = 'true'): Promise<Scan[]> {
  const rows = await fixture.prisma.$queryRawUnsafe<{ key: string; requests: bigint; tokens: bigint; cost: bigint }[]>(
    `SELECT (${keyExpression})::text AS key, count(*) AS requests, sum(input_tokens + output_tokens) AS tokens, coalesce(sum(cost_nano), 0)::bigint AS cost
     FROM usage_records u WHERE booked_at >= $1::timestamptz AND booked_at < $2::timestamptz AND ${condition} GROUP BY 1 ORDER BY 1`,
    start,
    end,
  );
  return rows.map((row) => ({ key: row.key, requests: Number(row.requests), tokens: Number(row.tokens), cost: row.cost }));
}

const micros = (nano: bigint): number => Number((nano + 500n) / 1000n);

function expectSums(actual: any, expected: Scan | undefined): void {
  expect({ requests: actual.requests, tokens: actual.tokens, micros: actual.cost_usd_micros }).toEqual({
    requests: expected?.requests ?? 0,
    tokens: expected?.tokens ?? 0,
    micros: micros(expected?.cost ?? 0n),
  });
}

/** Compares points with the scan by local day. */
async function expectPoints(points: any[], body: { start: string; end: string; timezone: string }, condition?: string): Promise<void> {
  const days = new Map(
    (await scan(`to_char(booked_at AT TIME ZONE '${body.timezone}', 'YYYY-MM-DD')`, body.start, body.end, condition)).map((row) => [row.key, row]),
  );
  for (const point of points) {
    const day = String(point.date).slice(0, 10);
    expectSums(point, days.get(day));
    days.delete(day);
  }
  expect([...days.keys()]).toEqual([]);
}

const RANGES = [
  ['over the spring change of Europe and the autumn change of Australia', 'start=2026-03-20T00:00:00Z&end=2026-04-10T12:30:00Z'],
  ['with a start in the middle of a day', 'start=2026-03-07T13:15:00Z&end=2026-03-09T01:45:00Z'],
  ['rolling until now', 'period=36h'],
  ['thirty days', 'period=30d'],
] as const;

describe.each(['from rollups', 'from built days', 'after late rows'])('reports equal a scan over the rows, %s', (stage) => {
  beforeAll(async () => {
    const job = fixture.app.get(UsageDaysJob, { strict: false });
    if (stage === 'from built days') {
      for (const zone of ZONES) await job.touch(zone);
      expect(await job.buildMissing()).toBeGreaterThan(100);
      expect(await job.buildMissing()).toBe(0);
    }
    if (stage === 'after late rows') {
      const before = await fixture.prisma.usageDayBuilt.count();
      const keyTenant = new Map([[ownedKey, tenantIds[0]!]]);
      await bookUsage(
        fixture.prisma,
        randomRows({ tenantIds, keyIds: [ownedKey], models: MODELS, keyTenant }, 40, Date.parse('2026-03-25T00:00:00Z'), Date.parse('2026-03-31T00:00:00Z')),
      );
      expect(await fixture.prisma.usageDayBuilt.count()).toBeLessThan(before);
    }
  });

  describe.each(ZONES)('in %s', (zone) => {
    it.each(RANGES)('summary, %s', async (_name, range) => {
      const { status, json } = await get(`/admin/usage/summary?${range}&timezone=${zone}`);
      expect([status, json.timezone]).toEqual([200, zone]);
      await expectPoints(json.points, json);
      expect(json.total_requests).toBe(json.points.reduce((sum: number, point: any) => sum + point.requests, 0));
      expect(json.total_requests).toBeGreaterThan(0);
    });

    it('breakdown by tenant, model, key and user, with the series of the first', async () => {
      const columns = {
        tenant: 'tenant_id',
        model: 'model_alias',
        api_key: 'api_key_id',
        user: '(SELECT owner_user_id FROM api_keys k WHERE k.id = u.api_key_id)',
      };
      for (const [group, column] of Object.entries(columns)) {
        const { json } = await get(`/admin/usage/breakdown?group=${group}&start=2026-03-20T05:00:00Z&end=2026-04-10T00:00:00Z&timezone=${zone}&limit=50`);
        const expected = new Map((await scan(column, json.start, json.end)).map((row) => [row.key, row]));
        if (group === 'user') expected.delete(null as never);
        expect(json.items.map((item: any) => item.id).sort()).toEqual([...expected.keys()].sort());
        for (const item of json.items) expectSums(item, expected.get(item.id));
        const costs = json.items.map((item: any) => item.cost_usd_micros);
        expect(costs).toEqual([...costs].sort((a, b) => b - a));
        await expectPoints(json.series.points, json, `(${column})::text = '${json.series.id}'`);
      }
    });

    it('daily series of a tenant, a user, a model and a key', async () => {
      const range = `start=2026-03-20T05:00:00Z&end=2026-04-10T06:00:00Z&timezone=${zone}`;
      const tenant = (await get(`/admin/usage/tenant/daily?tenant_id=${tenantIds[0]}&${range}`)).json;
      await expectPoints(tenant.days, tenant, `tenant_id = '${tenantIds[0]}'`);
      for (const day of tenant.days) expect(day.keys.reduce((sum: number, key: any) => sum + key.requests, 0)).toBe(day.requests);
      const user = (await get(`/admin/usage/user/daily?user_id=${userId}&${range}`)).json;
      await expectPoints(user.days, user, `api_key_id = '${ownedKey}'`);
      const model = (await get(`/admin/usage/model/daily?model_alias=Embed-Small&${range}`)).json;
      await expectPoints(model.days, model, `model_alias = 'Embed-Small'`);
      for (const day of model.days) expect(day.tenants.reduce((sum: number, part: any) => sum + part.requests, 0)).toBe(day.requests);
      const key = (await get(`/admin/tenants/${tenantIds[0]}/api-keys/${ownedKey}/usage?${range}`)).json;
      await expectPoints(key.series, key, `api_key_id = '${ownedKey}'`);
    });

    it.each([
      ['model/daily?model_alias=claude', 'tenants', 'tenant_id', `model_alias = 'claude'`],
      ['tenant/daily?tenant_id=<first>', 'keys', 'api_key_id', `tenant_id = '<first>'`],
    ])('the parts of the days of %s page by page, the dearest of the range first, and the others', async (path, list, id, where) => {
      const query = `/admin/usage/${path.replace('<first>', tenantIds[0]!)}&start=2026-03-20T05:00:00Z&end=2026-04-10T06:00:00Z&timezone=${zone}&limit=1`;
      const condition = where.replace('<first>', tenantIds[0]!);
      const first = (await get(query)).json;
      const ranked = (await scan(id, first.start, first.end, condition)).sort((a, b) => Number(b.cost - a.cost)).map(({ key }) => key);
      expect(ranked.length).toBeGreaterThan(1);
      for (let offset = 0; offset <= ranked.length; offset++) {
        const { json } = await get(`${query}&offset=${offset}`);
        expect([json.limit, json.offset, json.total]).toEqual([1, offset, ranked.length]);
        await expectPoints(json.days, json, condition);
        const parts = json.days.flatMap((day: any) => day[list].map((part: any) => ({ ...part, date: day.date })));
        expect([...new Set(parts.map((part: any) => part[id]))]).toEqual(ranked.slice(offset, offset + 1));
        await expectPoints(parts, json, `${condition} AND ${id}::text = '${ranked[offset] ?? ''}'`);
        for (const day of json.days) expect(day.others.requests + (day[list][0]?.requests ?? 0)).toBe(day.requests);
        await expectPoints(
          json.days.map((day: any) => ({ ...day.others, date: day.date })),
          json,
          `${condition} AND ${id}::text <> '${ranked[offset] ?? ''}'`,
        );
      }
    });

    it('comparison of tenants, models and a user', async () => {
      const { json } = await get(
        `/admin/usage/compare?tenant_ids=${tenantIds[0]},${tenantIds[1]}&model_aliases=claude&user_ids=${userId}&start=2026-03-25T03:00:00Z&end=2026-04-06T00:00:00Z&timezone=${zone}`,
      );
      expect(json.series.map(({ kind }: any) => kind)).toEqual(['tenant', 'tenant', 'model', 'user']);
      const conditions = [`tenant_id = '${tenantIds[0]}'`, `tenant_id = '${tenantIds[1]}'`, `model_alias = 'claude'`, `api_key_id = '${ownedKey}'`];
      for (const [index, series] of json.series.entries()) {
        await expectPoints(series.points, json, conditions[index]);
        const [all] = await scan(`'all'`, json.start, json.end, conditions[index]);
        expectSums(series.totals, all);
      }
    });
  });

  it('a viewer sees his tenants only, in every report', async () => {
    const alpha = `tenant_id = '${tenantIds[0]}'`;
    const range = 'start=2026-03-20T05:00:00Z&end=2026-04-10T00:00:00Z';
    const summary = (await get(`/admin/usage/summary?${range}`, viewer)).json;
    await expectPoints(summary.points, summary, alpha);
    const models = (await get(`/admin/usage/breakdown?group=model&${range}`, viewer)).json;
    const expected = new Map((await scan('model_alias', models.start, models.end, alpha)).map((row) => [row.key, row]));
    for (const item of models.items) expectSums(item, expected.get(item.id));
    const tenants = (await get(`/admin/usage/breakdown?group=tenant&${range}`, viewer)).json;
    expect(tenants.items.map((item: any) => item.id)).toEqual([tenantIds[0]]);
    const foreign = (await get(`/admin/usage/breakdown?group=tenant&${range}&entity_id=${tenantIds[1]}`, viewer)).json;
    expect(foreign.series.points.every((point: any) => point.requests === 0)).toBe(true);
    const daily = (await get(`/admin/usage/model/daily?model_alias=claude&${range}`, viewer)).json;
    expect(new Set(daily.days.flatMap((day: any) => day.tenants.map((part: any) => part.tenant_id)))).toEqual(new Set([tenantIds[0]]));
    const keys = (await get(`/admin/usage/api-keys?${range}`, viewer)).json;
    expect(new Set(keys.items.map((item: any) => item.tenant_id))).toEqual(new Set([tenantIds[0]]));
    expect((await get(`/admin/usage/summary?tenant_id=${tenantIds[1]}`, viewer)).status).toBe(403);
    expect((await get(`/admin/usage/summary?tenant_id=${randomUUID()}`, viewer)).status).toBe(403);
    expect((await get(`/admin/usage/summary?tenant_id=${randomUUID()}`, root)).status).toBe(404);
    expect((await get(`/admin/usage/compare?user_ids=${userId}`, viewer)).status).toBe(403);
    expect((await get(`/admin/tenants/${tenantIds[0]}/api-keys/${keyIds[1]}/usage`, viewer)).status).toBe(404);
    expect((await get(`/admin/tenants/${tenantIds[0]}/api-keys/${randomUUID()}/usage`, viewer)).status).toBe(404);
  });
});

describe('API keys, exports and input', () => {
  it('pages through all keys, used ones first', async () => {
    const range = 'start=2026-03-01T00:00:00Z&end=2026-05-01T00:00:00Z';
    await fixture.prisma.apiKey.create({
      data: {
        id: randomUUID(),
        tenantId: tenantIds[2]!,
        prefix: 'unused',
        secretDigest: new Uint8Array(32),
        lastFour: '0000',
        name: 'unused',
        quotaNano: 5_000_000_000n,
      },
    });
    const pages = [];
    for (let offset = 0; offset < 8; offset += 3) pages.push(...(await get(`/admin/usage/api-keys?${range}&limit=3&offset=${offset}`)).json.items);
    expect(pages).toHaveLength(7);
    expect(new Set(pages.map((item) => item.api_key_id)).size).toBe(7);
    expect(pages.at(-1)).toMatchObject({ name: 'unused', requests: 0, budget_usd: 5, budget_used_usd: 0 });
  });

  it('exports all keys, also past one that is gone and whose usage stays', async () => {
    const range = 'start=2026-03-01T00:00:00Z&end=2026-05-01T00:00:00Z';
    // More than a page of the list, and of the export.
    const many = Array.from({ length: 1_100 }, (_, index) => ({ id: randomUUID(), tenantId: tenantIds[2]!, prefix: `m${index}`, name: 'many' }));
    await fixture.prisma.apiKey.createMany({ data: many.map((key) => ({ ...key, secretDigest: new Uint8Array(32), lastFour: '0000' })) });
    const before = (await get(`/admin/usage/api-keys?${range}&format=csv`)).text.trim().split('\r\n');
    const { items, total } = (await get(`/admin/usage/api-keys?${range}`)).json;
    expect(before.slice(1, items.length + 1).map((line) => line.split(',')[0])).toEqual(items.map((item: any) => item.api_key_id));
    expect([before.length, new Set(before).size]).toEqual([total + 1, total + 1]);
    const dearest = items[0].api_key_id;
    const row = await fixture.prisma.apiKey.delete({ where: { id: dearest } });
    const after = (await get(`/admin/usage/api-keys?${range}&format=csv`)).text.trim().split('\r\n');
    expect(after.map((line) => line.split(',')[0])).toEqual(before.map((line) => line.split(',')[0]).filter((id) => id !== dearest));
    await fixture.prisma.apiKey.create({ data: row as never });
    await fixture.prisma.apiKey.deleteMany({ where: { name: 'many' } });
  });

  it('streams CSV for every report, and keeps spreadsheets from running names as formulas', async () => {
    const range = 'start=2026-03-01T00:00:00Z&end=2026-03-08T00:00:00Z';
    const paths = [
      `usage/summary?${range}`,
      `usage/breakdown?${range}`,
      `usage/compare?tenant_ids=${tenantIds[0]}&${range}`,
      `usage/tenant/daily?tenant_id=${tenantIds[0]}&${range}`,
      `usage/user/daily?user_id=${userId}&${range}`,
      `usage/model/daily?model_alias=claude&${range}`,
      `usage/api-keys?${range}`,
      `tenants/${tenantIds[0]}/api-keys/${ownedKey}/usage?${range}`,
      `usage/anomalies?${range}`,
      `usage/requests?${range}`,
      `budgets/history?tenant_id=${tenantIds[0]}`,
      `budgets/alerts?tenant_id=${tenantIds[0]}`,
      `audit/logs?action=auth.login`,
    ];
    for (const path of paths) {
      const byQuery = await get(`/admin/${path}&format=csv`);
      const byAccept = await fixture.call('GET', `/admin/${path}`, { token: root, headers: { accept: 'text/csv' } });
      expect([path, byQuery.status, byQuery.headers['content-type']]).toEqual([path, 200, 'text/csv; charset=utf-8']);
      expect(byAccept.text).toBe(byQuery.text);
      expect(byQuery.text.split('\r\n')[0]).toMatch(/^[a-z_,]+$/);
    }
    const csv = (await get(`/admin/usage/breakdown?${range}&format=csv`)).text;
    expect(csv).toContain(`"'=gamma, ""quoted"""`);
  });

  it.each([
    'usage/summary?period=0d',
    'usage/summary?period=367d',
    'usage/summary?period=7w',
    'usage/summary?period=-7d',
    'usage/summary?start=2026-03-01T00:00:00Z',
    'usage/summary?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z',
    'usage/summary?start=2026-01-01T00:00:00Z&end=2026-12-31T00:00:00Z',
    'usage/summary?start=yesterday&end=today',
    'usage/summary?start=0001-01-01T00:00:00Z&end=0001-02-01T00:00:00Z',
    'usage/summary?timezone=Mars/Olympus',
    'usage/summary?timezone=%2B02:00',
    "usage/summary?timezone=UTC'%20OR%201=1--",
    'usage/summary?tenant_id=not-a-uuid',
    'usage/summary?tenant_id=1&tenant_id=2',
    'usage/breakdown?group=password',
    'usage/breakdown?limit=51',
    'usage/breakdown?limit=1e3',
    'usage/breakdown?group=tenant&entity_id=1',
    'usage/compare',
    'usage/compare?model_aliases=a,b,c,d,e,f,g,h,i,j,k',
    'usage/api-keys?limit=201',
    'usage/api-keys?offset=-1',
    'usage/api-keys?offset=999999999999999999999',
    'usage/anomalies?sensitivity=0',
    'usage/requests?cursor=..%2F..',
    'usage/requests?cursor=00000000-0000-4000-8000-000000000000',
    'usage/requests?status=abc',
    'budgets/history?windows=37',
    'budgets/alerts?level=loud',
    'budgets/alerts?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z',
    'usage/requests?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z',
    'usage/api-keys?timezone=Mars/Olympus',
    'usage/anomalies?period=400d',
    'audit/logs?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z',
  ])('answers 400 to %s, also when it is to be a CSV', async (path) => {
    for (const address of [path, `${path}${path.includes('?') ? '&' : '?'}format=csv`]) {
      const answer = await get(`/admin/${address}`);
      expect([address, answer.status, typeof answer.json?.error]).toEqual([address, 400, 'string']);
    }
  });
});
