import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { configKey, keyDocumentSchema, modelDocumentSchema, tenantDocumentSchema } from '@omg/contracts';
import { sealedContext } from '@omg/domain';
import { loadConfig } from '@omg/service-kit';
import { cleanUp, startNats, waitFor } from '@omg/testkit';
import { toColumns, type RouteEntry } from '../model-catalog/catalog-route.js';
import { newId } from '../new-id.js';
import { findDrift } from './compare.js';
import type { Database } from './documents.queries.js';
import { project } from './projection.js';
import { untilProjected } from './until-projected.js';
import { keyName, modelName, ProjectorFixture, RING } from './projector.fixture.js';

let fixture: ProjectorFixture;
beforeEach(async () => {
  fixture = await ProjectorFixture.start();
});
afterEach(async () => {
  await fixture.close();
  await cleanUp();
});
afterAll(cleanUp);

const context = { ring: RING, shared: {} };

function entry(over: Partial<RouteEntry> = {}): RouteEntry {
  return {
    provider: 'openai-compatible',
    providerModel: 'm',
    deployment: 'm',
    modelType: 'llm',
    contextWindow: 0,
    maxOutputTokens: 0,
    modalities: [],
    supportsTools: false,
    enabled: true,
    weight: 100,
    sources: { block: {}, fields: { endpoint: 'http://127.0.0.1:9/v1', api_key: 'upstream-secret' }, metadata: {} },
    ...over,
  };
}

async function addRoute(alias: string, source: 'config' | 'db', over: Partial<RouteEntry> = {}, extra: { tombstone?: boolean } = {}): Promise<string> {
  const id = newId();
  await fixture.prisma.modelAlias.createMany({ data: [{ key: alias.toLowerCase(), alias }], skipDuplicates: true });
  await fixture.prisma.modelRoute.create({ data: { id, aliasKey: alias.toLowerCase(), source, ...toColumns(id, entry(over), context), ...extra } });
  return id;
}

describe('whoever waits for a change to be projected', () => {
  it('finds it in the bucket when the wait is over', async () => {
    fixture.projector();
    const tenantId = await fixture.tenant();
    for (let n = 0; n < 5; n++) {
      const prefix = await fixture.key(tenantId);
      await untilProjected(fixture.prisma, 10_000);
      expect(await fixture.document(keyName(prefix))).toMatchObject({ prefix });
    }
  });

  it('waits for nothing where nothing changed, and no longer than it may where nobody projects', async () => {
    await untilProjected(fixture.prisma, 10_000);
    await fixture.key(await fixture.tenant());
    const began = performance.now();
    await untilProjected(fixture.prisma, 50);
    expect(performance.now() - began).toBeGreaterThanOrEqual(49);
    expect(await fixture.prisma.configOutbox.count()).toBeGreaterThan(0);
  });
});

describe('what reaches the edges', () => {
  it('follows tenants and keys from creation to deletion, without any code of the writer', async () => {
    fixture.projector();
    const tenantId = await fixture.tenant('acme');
    const prefix = await fixture.key(tenantId);
    await fixture.settled();
    expect(tenantDocumentSchema.parse(await fixture.document(configKey.tenant(tenantId)))).toMatchObject({ name: 'acme', status: 'active', models: null });
    expect(keyDocumentSchema.parse(await fixture.document(keyName(prefix)))).toMatchObject({ tenantId, revoked: false, scopes: [] });

    await fixture.prisma.apiKey.update({ where: { prefix }, data: { revokedAt: new Date() } });
    await fixture.prisma.tenantRateLimit.create({ data: { tenantId, requestsPerMinute: 7 } });
    await fixture.prisma.tenantBudgetOverride.create({ data: { tenantId, budgetNano: 5_000_000_000n } });
    await fixture.settled();
    expect(await fixture.document(keyName(prefix))).toMatchObject({ revoked: true });
    expect(await fixture.document(configKey.tenant(tenantId))).toMatchObject({ limits: { requestsPerMinute: 7 }, budget: { limitNano: '5000000000' } });

    await fixture.prisma.tenant.delete({ where: { id: tenantId } });
    await fixture.settled();
    expect(await fixture.document(keyName(prefix))).toBeUndefined();
    expect(await fixture.document(configKey.tenant(tenantId))).toBeUndefined();
  });

  it('does not follow the last use of a key, which the recorder writes all the time', async () => {
    const prefix = await fixture.key(await fixture.tenant());
    await fixture.prisma.configOutbox.deleteMany();
    await fixture.prisma.$executeRaw`UPDATE api_keys SET last_used_at = now() WHERE prefix = ${prefix}`;
    expect(await fixture.prisma.configOutbox.count()).toBe(0);
  });

  it('gives personal tenants the default models as they are now, and organizations all', async () => {
    fixture.projector();
    await addRoute('Small', 'db');
    await addRoute('large', 'db');
    const personal = newId();
    await fixture.prisma.tenant.create({ data: { id: personal, name: 'personal:x', kind: 'personal' } });
    await fixture.settled();
    expect((await fixture.document(configKey.tenant(personal))).models).toEqual([]);
    await fixture.prisma.defaultModel.create({ data: { aliasKey: 'small' } });
    await fixture.settled();
    expect((await fixture.document(configKey.tenant(personal))).models).toEqual(['small']);
  });

  it('shows a route of the database instead of the configuration row that it replaces, and hides what a tombstone hides', async () => {
    fixture.projector();
    await addRoute('m', 'config', { weight: 1 });
    const replaced = await addRoute('m', 'db', { weight: 2 });
    await addRoute('gone', 'config');
    await addRoute('gone', 'db', {}, { tombstone: true });
    await fixture.settled();
    const { routes } = modelDocumentSchema.parse(await fixture.document(modelName('m')));
    expect(routes.map(({ id, weight }) => ({ id, weight }))).toEqual([{ id: replaced, weight: 2 }]);
    expect(await fixture.document(modelName('gone'))).toBeUndefined();
  });

  it('seals secrets, and keeps the envelope while the secret is the same', async () => {
    fixture.projector();
    const id = await addRoute('m', 'db');
    await fixture.settled();
    const before = modelDocumentSchema.parse(await fixture.document(modelName('m'))).routes[0]!;
    expect(JSON.stringify(before)).not.toContain('upstream-secret');
    expect(RING.open(before.sealed['api_key']!, sealedContext.routeSetting('api_key', id))).toBe('upstream-secret');
    await fixture.prisma.modelRoute.update({ where: { id }, data: { weight: 5 } });
    await fixture.settled();
    const after = modelDocumentSchema.parse(await fixture.document(modelName('m'))).routes[0]!;
    expect(after).toEqual({ ...before, weight: 5 });
  });

  it('takes a price that was set for later when its time comes', async () => {
    const id = await addRoute('m', 'db');
    const price = (input: string, validFrom: Date) => fixture.prisma.priceVersion.create({ data: { id: newId(), routeId: id, priceInput: input, validFrom } });
    const inForce = async (): Promise<string> => (await fixture.document(modelName('m'))).routes[0].price.input;
    await price('0.001', new Date(Date.now() - 60_000));
    fixture.projector({ priceCheckMs: 50, pollMs: 50 });
    await fixture.settled();
    expect(await inForce()).toBe('0.001');
    const validFromMs = Date.now() + 2_000;
    await price('0.002', new Date(validFromMs));
    await fixture.settled();
    await waitFor(async () => (await inForce()) === '0.002', { what: 'the later price' });
    expect(Date.now()).toBeGreaterThanOrEqual(validFromMs);
  });
});

describe('how fast and how surely', () => {
  it('brings a change to the bucket well within the second that an edge has (some 15 ms at the 99th percentile on a calm machine)', async () => {
    // It is told of each change: the look that it takes by itself comes too late.
    fixture.projector({ pollMs: 600_000 });
    const tenantId = await fixture.tenant();
    const prefix = await fixture.key(tenantId);
    await fixture.settled();
    const bucket = await fixture.bucket();
    const delaysMs: number[] = [];
    for (let round = 0; round < 200; round++) {
      const { revision } = await bucket.read(keyName(prefix));
      const startedMs = performance.now();
      await fixture.prisma.apiKey.update({ where: { prefix }, data: { requestsPerMinute: round + 1 } });
      await waitFor(async () => (await bucket.read(keyName(prefix))).revision > revision, { intervalMs: 2 });
      delaysMs.push(performance.now() - startedMs);
    }
    delaysMs.sort((a, b) => a - b);
    const at = (share: number) => Math.round(delaysMs[Math.floor(delaysMs.length * share)]!);
    console.log(`change to bucket, 200 changes: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(0.999)} ms`);
    // Half of them: single ones wait for their processor on a busy machine.
    expect(at(0.5)).toBeLessThan(900);
  });

  it('lets one replica lead; when it is cut off another one takes over and misses nothing', async () => {
    const both = [fixture.projector(), fixture.projector()];
    await waitFor(() => both.some((projector) => projector.isLeading));
    expect(both.filter((projector) => projector.isLeading)).toHaveLength(1);
    const leader = both.find((projector) => projector.isLeading)!;
    const other = both.find((projector) => projector !== leader)!;
    const prefix = await fixture.key(await fixture.tenant());
    // The leader's session dies as if its process had been killed; it may not come back first.
    const stopping = leader.stop();
    await fixture.prisma
      .$queryRaw`SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'omg:projector' AND datname = current_database()`;
    await stopping;
    await waitFor(() => other.isLeading);
    await fixture.settled();
    expect(await fixture.document(keyName(prefix))).toMatchObject({ revoked: false });
  });

  it('catches up with everything that changed while no projector ran', async () => {
    const first = fixture.projector();
    const tenantId = await fixture.tenant();
    const prefixes = await Promise.all(Array.from({ length: 50 }, () => fixture.key(tenantId)));
    await fixture.settled();
    await first.stop();
    await fixture.prisma.apiKey.updateMany({ where: { tenantId }, data: { revokedAt: new Date() } });
    await fixture.prisma.apiKey.delete({ where: { prefix: prefixes[0]! } });
    fixture.projector();
    await fixture.settled();
    expect(await fixture.document(keyName(prefixes[0]!))).toBeUndefined();
    for (const prefix of prefixes.slice(1)) expect(await fixture.document(keyName(prefix))).toMatchObject({ revoked: true });
  });

  it('keeps changes while NATS is down and delivers them when it is back', async () => {
    fixture.projector();
    const tenantId = await fixture.tenant('before');
    await fixture.settled();
    await fixture.nats.kill();
    await fixture.prisma.tenant.update({ where: { id: tenantId }, data: { name: 'after' } });
    expect(await fixture.prisma.configOutbox.count()).toBeGreaterThan(0);
    fixture.nats = await fixture.nats.again();
    await fixture.settled();
    expect((await fixture.document(configKey.tenant(tenantId))).name).toBe('after');
  });

  it('fills the bucket anew when NATS lost its files', async () => {
    fixture.projector();
    const prefix = await fixture.key(await fixture.tenant());
    await fixture.settled();
    const { port } = fixture.nats;
    await fixture.nats.kill();
    fixture.nats = await startNats({ port });
    await waitFor(async () => (await fixture.document(configKey.defaults)) !== undefined);
    expect(await fixture.document(configKey.defaults)).toMatchObject({ timezone: 'UTC' });
    // An edge serves from a bucket that has the defaults: by then it must know every key.
    expect(await fixture.revision(configKey.defaults)).toBeGreaterThan(await fixture.revision(keyName(prefix)));
  });

  it('repairs documents that somebody changed, deleted or added by hand', async () => {
    fixture.projector({ compareIntervalMs: 200, pollMs: 50 });
    const tenantId = await fixture.tenant('acme');
    const prefix = await fixture.key(tenantId);
    await fixture.settled();
    const bucket = await fixture.bucket();
    await bucket.write(configKey.tenant(tenantId), Buffer.from('{"v":1,"name":"evil"}'), await fixture.revision(configKey.tenant(tenantId)));
    await bucket.remove(keyName(prefix), await fixture.revision(keyName(prefix)));
    await bucket.write(keyName('forged'), Buffer.from('{}'), 0);
    await waitFor(async () => (await fixture.document(configKey.tenant(tenantId))).name === 'acme');
    await waitFor(async () => (await fixture.document(keyName(prefix))) !== undefined);
    await waitFor(async () => (await fixture.document(keyName('forged'))) === undefined);
  });

  it('never puts an older state over a newer one, also with two leaders', async () => {
    const tenantId = await fixture.tenant('old');
    const bucket = await fixture.bucket();
    const refs = [{ kind: 'tenant' as const, ref: tenantId }];
    const { config } = loadConfig({ sections: ['rate_limits', 'budgets', 'reporting'], env: {}, cwd: '/nonexistent' });
    const settings = { config, ...context };
    // The slow one has read revision and state; before it writes, the other one projects a newer state.
    const slow = {
      defaultModel: fixture.prisma.defaultModel,
      $queryRaw: fixture.prisma.$queryRaw.bind(fixture.prisma),
      tenant: {
        findMany: async (query: object) => {
          const rows = await fixture.prisma.tenant.findMany(query);
          await fixture.prisma.tenant.update({ where: { id: tenantId }, data: { name: 'new' } });
          expect((await project(bucket, fixture.prisma, settings, refs)).written).toBe(1);
          return rows;
        },
      },
    } as unknown as Database;
    expect((await project(bucket, slow, settings, refs)).conflicts).toEqual(refs);
    expect((await fixture.document(configKey.tenant(tenantId))).name).toBe('new');
    expect(await findDrift(bucket, fixture.prisma, settings)).toEqual([{ kind: 'defaults', ref: '' }]);
  });
});
