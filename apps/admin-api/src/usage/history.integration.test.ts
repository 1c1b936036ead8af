import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { uuidV7 } from '@omg/domain';
import { cleanUp } from '@omg/testkit';
import { randomBytes, randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { bookUsage } from './random-usage.fixture.js';

const DAY_MS = 86_400_000;
let fixture: AdminAppFixture;
let root: string;
let viewer: string;
let tenantId: string;
let otherId: string;
let keyId: string;

beforeAll(async () => {
  fixture = await startAdminApp({ environment: { ROUTER_REPORTING_TIMEZONE: 'Europe/Berlin' } });
  tenantId = await fixture.tenant('alpha');
  otherId = await fixture.tenant('beta');
  await fixture.user('root@example.com', { superAdmin: true });
  await fixture.user('viewer@example.com', { memberships: { [tenantId]: 'viewer' } });
  keyId = randomUUID();
  await fixture.prisma.apiKey.create({
    data: { id: keyId, tenantId, prefix: 'history', secretDigest: new Uint8Array(32), lastFour: '0000', name: 'history', quotaNano: 4_000_000_000n },
  });
  root = await fixture.signIn('root@example.com');
  viewer = await fixture.signIn('viewer@example.com');
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const get = (path: string, token = root) => fixture.call('GET', path, { token });
const row = (atMs: number, usd: number) => ({
  atMs,
  tenantId,
  apiKeyId: keyId,
  model: 'm',
  inputTokens: 10,
  outputTokens: 5,
  costNano: BigInt(Math.round(usd * 1e9)),
});

describe('spend history', () => {
  it('shows consecutive local windows, newest first, with limits as recorded when they closed', async () => {
    await fixture.prisma.tenantBudgetOverride.create({
      data: { tenantId, budgetNano: 10_000_000_000n, warningThreshold: 0.5, refreshSchedule: 'calendar_month' },
    });
    const first = (await get(`/admin/budgets/history?tenant_id=${tenantId}&windows=4`)).json;
    expect([first.timezone, first.refresh_schedule, first.windows.length]).toEqual(['Europe/Berlin', 'calendar_month', 4]);
    for (let index = 1; index < 4; index++) expect(first.windows[index].end).toBe(first.windows[index - 1].start);
    expect(first.windows.map((window: any) => window.current)).toEqual([true, false, false, false]);
    const [now, last, before] = first.windows;
    await bookUsage(fixture.prisma, [
      row(Date.now(), 4),
      row(Date.parse(last.start), 6),
      row(Date.parse(last.end) - 1, 1),
      row(Date.parse(before.end) - 1, 12),
    ]);
    const windowId = `calendar_month:${String(before.start).slice(0, 10)}`;
    await fixture.prisma.budgetTotal.create({
      data: {
        tenantId,
        apiKeyId: '00000000-0000-0000-0000-000000000000',
        windowId,
        windowStart: new Date(before.start),
        windowEnd: new Date(before.end),
        spentNano: 12_000_000_000n,
        limitNano: 20_000_000_000n,
      },
    });
    const { windows } = (await get(`/admin/budgets/history?tenant_id=${tenantId}&windows=3`, viewer)).json;
    expect(windows).toMatchObject([
      { start: now.start, limit_usd: 10, spent_usd: 4, warning: false, exceeded: false, requests: 1, tokens: 15 },
      { limit_usd: 10, spent_usd: 7, cost_cents: 700, warning: true, exceeded: false, requests: 2 },
      { limit_usd: 20, spent_usd: 12, warning: true, exceeded: false },
    ]);
    const key = (await get(`/admin/budgets/history?api_key_id=${keyId}&windows=1`, viewer)).json;
    expect(key.windows).toMatchObject([{ limit_usd: 4, spent_usd: 4, exceeded: true, warning: false }]);
  });

  it('shows rolling schedules as consecutive blocks of exactly N x 24 hours', async () => {
    await fixture.prisma.tenantBudgetOverride.update({ where: { tenantId }, data: { refreshSchedule: 'rolling_7d' } });
    const { windows, refresh_schedule } = (await get(`/admin/budgets/history?tenant_id=${tenantId}&windows=5`)).json;
    expect(refresh_schedule).toBe('rolling_7d');
    for (const window of windows) expect(Date.parse(window.end) - Date.parse(window.start)).toBe(7 * DAY_MS);
    expect(windows[0].spent_usd).toBeGreaterThanOrEqual(4);
  });

  it('hides what the caller may not see: 403 for a tenant, 404 for a key, all tenants for super admins only', async () => {
    expect((await get(`/admin/budgets/history?tenant_id=${otherId}`, viewer)).status).toBe(403);
    expect((await get('/admin/budgets/history', viewer)).status).toBe(403);
    expect((await get('/admin/budgets/history')).json.windows[0].limit_usd).toBeNull();
    const foreign = randomUUID();
    await fixture.prisma.apiKey.create({
      data: { id: foreign, tenantId: otherId, prefix: 'foreign', secretDigest: new Uint8Array(32), lastFour: '0000', name: 'x' },
    });
    const answers = [await get(`/admin/budgets/history?api_key_id=${foreign}`, viewer), await get(`/admin/budgets/history?api_key_id=${randomUUID()}`, viewer)];
    expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [404, answers[0]!.text]));
  });
});

describe('alert history', () => {
  it('filters, masks the credentials of webhooks, and stays inside the tenants of the caller', async () => {
    const event = (tenant: string, level: string, success: boolean | null) => ({
      id: randomUUID(),
      tenantId: tenant,
      level,
      success,
      channels: { emails: ['ops@example.com'], webhooks: ['https://user:secret-pw@hooks.example/x?token=secret-query'] },
      payload: { tenant_id: tenant, level, limit_cents: 100 },
    });
    await fixture.prisma.budgetAlertEvent.createMany({
      data: [event(tenantId, 'warning', true), event(tenantId, 'exceeded', false), event(otherId, 'exceeded', null)],
    });
    const all = await get('/admin/budgets/alerts');
    expect(all.json).toMatchObject({ total: 3, limit: 50, offset: 0 });
    expect(all.text).not.toContain('secret');
    expect(all.json.alerts[0].channels.webhooks).toEqual(['https://hooks.example/x?***']);
    expect((await get('/admin/budgets/alerts?level=exceeded&success=false')).json.alerts).toMatchObject([
      { tenant_id: tenantId, tenant_name: 'alpha', success: false },
    ]);
    expect((await get('/admin/budgets/alerts', viewer)).json.total).toBe(2);
    expect((await get(`/admin/budgets/alerts?tenant_id=${otherId}`, viewer)).status).toBe(403);
  });
});

describe('the request log', () => {
  it('pages by key through rows of the same millisecond without losing or repeating one, and filters', async () => {
    const base = Date.now() - 60_000;
    const rows = Array.from({ length: 25 }, (_, index) => {
      const ts = base + Math.floor(index / 10);
      return {
        id: uuidV7(ts, randomBytes(10)),
        ts: new Date(ts),
        tenantId: index % 5 === 0 ? otherId : tenantId,
        apiKeyId: keyId,
        traceId: `trace-${index}`,
        operation: 'chat',
        modelAlias: 'm',
        provider: 'fake',
        stream: false,
        status: index % 4 === 0 ? 502 : 200,
        errorCode: index % 4 === 0 ? 'upstream_error' : null,
        latencyMs: index * 10,
        inputTokens: 1,
        outputTokens: 1,
        costNano: 1_500_000n,
      };
    });
    await fixture.prisma.request.createMany({ data: rows });
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { json }: any = await get(`/admin/usage/requests?limit=7${cursor ? `&cursor=${cursor}` : ''}`);
      seen.push(...json.requests.map((request: any) => request.id));
      cursor = json.next_cursor;
    }
    const expected = [...rows].sort((a, b) => b.ts.getTime() - a.ts.getTime() || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
    expect(seen).toEqual(expected);
    const count = async (query: string, token = root) => (await get(`/admin/usage/requests?limit=200&${query}`, token)).json.requests.length;
    expect(await count('status_class=5xx')).toBe(7);
    expect(await count('status=200')).toBe(18);
    expect(await count('error_code=upstream_error')).toBe(7);
    expect(await count('latency_min_ms=200')).toBe(5);
    expect(await count('request_id=trace-3')).toBe(1);
    expect(await count(`tenant_id=${otherId}`)).toBe(5);
    expect(await count('', viewer)).toBe(20);
    const csv = (await get('/admin/usage/requests?format=csv')).text.trim().split('\r\n');
    expect(csv).toHaveLength(26);
    expect(csv[1]).toContain('0.0015');
  });
});
