import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { DateTime } from 'luxon';
import { randomUUID } from 'node:crypto';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';
import { bookUsage, type UsageRow } from './random-usage.fixture.js';
import { UsageDaysJob } from './usage-days.job.js';

/** Half an hour off, so that a day is none of UTC's. */
const ZONE = 'Asia/Kolkata';
const SPIKE_DAY = 5;

let fixture: AdminAppFixture;
let root: string;
let steady: { tenant: string; key: string };
let spiky: { tenant: string; key: string };
let userId: string;

beforeAll(async () => {
  fixture = await startAdminApp();
  await fixture.user('root@example.com', { superAdmin: true });
  userId = (await fixture.user('owner@example.com')).id;
  root = await fixture.signIn('root@example.com');
  [steady, spiky] = [await tenantWithKey(null), await tenantWithKey(userId)];
  const today = DateTime.now().setZone(ZONE).startOf('day');
  const rows: UsageRow[] = [];
  for (let back = 1; back <= 40; back++) {
    const day = today.minus({ days: back });
    for (const who of [steady, spiky]) {
      const requests = who === spiky && back === SPIKE_DAY ? 200 : 25;
      // From the first to the last minute of the local day.
      for (let index = 0; index < requests; index++)
        rows.push({
          atMs: day.plus({ minutes: Math.floor((index * 1439) / (requests - 1)) }).toMillis(),
          tenantId: who.tenant,
          apiKeyId: who.key,
          model: who === spiky ? 'spiky-model' : 'steady-model',
          inputTokens: 100,
          outputTokens: 50,
          costNano: 20_000_001n,
        });
    }
  }
  await bookUsage(fixture.prisma, rows);
});
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

async function tenantWithKey(ownerUserId: string | null): Promise<{ tenant: string; key: string }> {
  const [tenant, key] = [await fixture.tenant(), randomUUID()];
  await fixture.prisma.apiKey.create({
    data: { id: key, tenantId: tenant, prefix: key.slice(0, 10), secretDigest: new Uint8Array(32), lastFour: '0000', name: 'k', ownerUserId },
  });
  return { tenant, key };
}

const anomalies = async (query: string): Promise<any[]> =>
  (await fixture.call('GET', `/admin/usage/anomalies?timezone=${ZONE}&${query}`, { token: root })).json.anomalies;

describe.each(['from rollups', 'from built days'])('anomalies %s', (stage) => {
  beforeAll(async () => {
    if (stage === 'from built days') expect(await fixture.app.get(UsageDaysJob, { strict: false }).buildMissing()).toBeGreaterThan(30);
  });

  it('name the day, its value and what was expected, exactly, in the local days of the timezone', async () => {
    const expected: [string, number, number][] = [
      ['cost', 200 * 0.020000001, 25 * 0.020000001],
      ['requests', 200, 25],
      ['tokens', 200 * 150, 25 * 150],
    ];
    const ids: Record<string, string> = { tenant: spiky.tenant, model: 'spiky-model', user: userId, api_key: spiky.key };
    for (const [metric, value, usual] of expected) {
      for (const [group, id] of Object.entries(ids)) {
        const found = await anomalies(`group=${group}&metric=${metric}`);
        expect([group, metric, found.map(({ id }) => id)]).toEqual([group, metric, [id]]);
        expect(found[0]).toMatchObject({
          kind: group,
          metric,
          direction: 'spike',
          date: DateTime.now().setZone(ZONE).startOf('day').minus({ days: SPIKE_DAY }).toISO({ suppressMilliseconds: true }),
        });
        expect(found[0].value).toBeCloseTo(value, 6);
        expect(found[0].expected).toBeCloseTo(usual, 6);
      }
    }
  });

  it('are fewer with a higher sensitivity, and none where nothing is unusual', async () => {
    expect(await anomalies('sensitivity=100')).toHaveLength(1);
    expect((await anomalies('group=tenant&sensitivity=1')).filter(({ id }) => id === steady.tenant)).toEqual([]);
    expect(await anomalies('period=3d')).toEqual([]);
  });
});

describe('anomalies after late rows', () => {
  it('are of the rows as they are now, and again once the day is summed anew', async () => {
    const value = async () => (await anomalies('group=api_key&metric=requests'))[0].value;
    expect(await value()).toBe(200);
    const late = (count: number): UsageRow[] =>
      Array.from({ length: count }, () => ({
        atMs: DateTime.now().setZone(ZONE).startOf('day').minus({ days: SPIKE_DAY }).plus({ hours: 12 }).toMillis(),
        tenantId: spiky.tenant,
        apiKeyId: spiky.key,
        model: 'spiky-model',
        inputTokens: 1,
        outputTokens: 1,
        costNano: 1n,
      }));
    const job = fixture.app.get(UsageDaysJob, { strict: false });
    for (const expected of [203, 206]) {
      await bookUsage(fixture.prisma, late(3));
      expect(await value()).toBe(expected);
      // In the configured zone as well.
      expect(await job.buildMissing()).toBe(2);
      expect(await value()).toBe(expected);
    }
  });
});

describe('the key report', () => {
  it('shows what a key spent in a rolling window as it is now, not as it was at its last request', async () => {
    await fixture.call('PUT', `/admin/tenants/${steady.tenant}/budget`, { token: root, body: { budget_usd: null, refresh_schedule: 'rolling_7d' } });
    const windowId = 'rolling_7d';
    await fixture.prisma.budgetTotal.create({
      data: { tenantId: steady.tenant, apiKeyId: steady.key, windowId, windowStart: new Date(0), windowEnd: new Date(1), spentNano: 999_000_000_000n },
    });
    const [{ spent }] = (await fixture.prisma.$queryRaw`
      SELECT sum(cost_nano)::bigint AS spent FROM usage_rollups WHERE api_key_id = ${steady.key}::uuid AND bucket >= date_bin('15 minutes', now(), 'epoch') - interval '7 days'`) as [
      { spent: bigint },
    ];
    const { items } = (await fixture.call('GET', `/admin/usage/api-keys?tenant_id=${steady.tenant}`, { token: root })).json;
    // The window begins within the same quarter of an hour.
    expect(Math.abs(items[0].budget_used_usd - Number(spent) / 1e9)).toBeLessThanOrEqual(2 * 0.020000001);
  });
});
