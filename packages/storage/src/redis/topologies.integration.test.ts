import { randomUUID } from 'node:crypto';
import { setImmediate as immediate } from 'node:timers/promises';
import { cleanUp, startRedisCluster, startSentinelRedis, startTlsRedis, waitFor, type RedisCluster, type SentinelRedis, type TlsRedis } from '@omg/testkit';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { z } from 'zod';
import { silentObserver } from '../connection-observer.js';
import { connectQueues } from '../queues/connection.js';
import { openQueue, work } from '../queues/queue.js';
import { admitRequest, newCaller, settleRequest, WIDE_LIMITS, type Caller } from './admission.fixture.js';
import { RedisAdmissionStore } from './admission-store.js';
import { AuthStore } from './auth-store.js';
import { closeRedis, connectRedis, pingRedis, type RedisClient, type RedisSettings } from './connection.js';
import { IdempotencyStore } from './idempotency-store.js';
import { RedisLedgerStore } from './ledger-store.js';

/** The stores and queues over the product's own connections, on Redis as a cluster, behind sentinels and with TLS. */

afterAll(cleanUp);

let nowMs = Date.now();

/** As the edge, the recorder and the admin API open them. */
function open(settings: RedisSettings) {
  const patient = { ...settings, commandTimeoutMs: 30_000 };
  const request = connectRedis(patient, { name: 'test-edge', mode: 'request' });
  const background = connectRedis(patient, { name: 'test-recorder', mode: 'background' });
  const queues = connectQueues(settings, { name: 'test-queues' });
  const guard = { commandTimeoutMs: 30_000, nowMs: () => nowMs };
  const stores = {
    admission: new RedisAdmissionStore(request, guard),
    ledger: new RedisLedgerStore(background, guard),
    idempotency: new IdempotencyStore(request, guard),
  };
  const close = async (): Promise<void> => {
    for (const store of Object.values(stores)) store.close();
    await Promise.all([request, background, queues].map(closeRedis));
  };
  return { request, background, queues, ...stores, auth: new AuthStore(background), close };
}

type Opened = ReturnType<typeof open>;

const isUp = (client: RedisClient) => () =>
  pingRedis(client).then(
    () => true,
    () => false,
  );

const budgets = (limitNano = 1_000_000n) => ({
  tenant: { windowId: 'calendar_month:2026-11-01', windowEndMs: nowMs + 86_400_000, limitNano },
  key: { windowId: 'calendar_month:2026-11-01', windowEndMs: nowMs + 86_400_000, limitNano },
});

/** Admission, renewal, a wider hold, settlement, release; calls cancelled after and before their admission; and one whose edge vanished. */
async function liveThrough({ admission, ledger }: Opened, caller: Caller): Promise<void> {
  const [done, cancelled, lost] = [0, 1, 2].map(() => admitRequest(caller, { budgets: budgets(), leaseMs: 10_000 })) as [
    ReturnType<typeof admitRequest>,
    ReturnType<typeof admitRequest>,
    ReturnType<typeof admitRequest>,
  ];
  const admitted = await Promise.all([done, cancelled, lost].map((request) => admission.admit(request)));
  expect(admitted.map((result) => result.admitted)).toEqual([true, true, true]);
  expect(await admission.renew(caller.tenantId, caller.keyId, done.attemptId, 20_000)).toBe(true);
  const more = { moreNano: 500n, moreMinNano: 500n, budgets: done.budgets, unseededAllowanceNano: 1_000_000n };
  expect(await admission.extendHold({ ...caller, ...more, attemptId: done.attemptId })).toBe(500n);
  await admission.cancel(caller.tenantId, caller.keyId, cancelled.attemptId);
  const late = admitRequest(caller, { budgets: budgets() });
  await admission.cancel(caller.tenantId, caller.keyId, late.attemptId);
  await admission.admit(late);
  expect((await admission.settle(settleRequest(done, { costNano: 700n }))).wasOpen).toBe(true);
  expect((await admission.readState(done)).budgets).toMatchObject({ tenant: { openNano: 1_700n }, key: { openNano: 1_700n } });
  const total = { windowId: done.budgets.tenant.windowId, windowEndMs: done.budgets.tenant.windowEndMs, version: 1n };
  await ledger.release(
    caller.tenantId,
    [done.attemptId],
    [
      { ...total, scope: 'tenant', spentNano: 700n },
      { ...total, scope: 'key', keyId: caller.keyId, spentNano: 700n },
    ],
  );
  nowMs += 11_000;
  const expired = await ledger.expiredAttempts(caller.tenantId, 0, 10);
  expect(expired.map(({ attemptId }) => attemptId)).toEqual([lost.attemptId]);
  expect(await ledger.endExpired(caller.tenantId, lost.attemptId, '{}')).toBe(true);
  nowMs += 1;
  expect((await ledger.endedAttempts(caller.tenantId, 0, 10)).map(({ attemptId }) => attemptId)).toEqual([lost.attemptId]);
  await ledger.seed(caller.tenantId, [{ ...total, scope: 'tenant', spentNano: 1_700n, version: 2n }]);
  await ledger.release(caller.tenantId, [lost.attemptId], []);
  const state = await ledger.inspect(caller.tenantId);
  expect(state).toMatchObject({ open: 0, ended: 0 });
  expect(state.budgets.map(({ scope, spentNano, openNano }) => [scope, spentNano, openNano]).toSorted()).toEqual([
    ['key', 700n, 0n],
    ['tenant', 1_700n, 0n],
  ]);
}

async function replays({ idempotency }: Opened, { tenantId, keyId }: Caller): Promise<void> {
  const scope = { tenantId, keyId, route: 'POST /v1/chat/completions', clientKey: randomUUID() };
  const begun = await idempotency.begin(scope, 'print', 60_000);
  if (begun.outcome !== 'fresh') throw new Error(begun.outcome);
  expect((await idempotency.begin(scope, 'print', 60_000)).outcome).toBe('in_use');
  await idempotency.complete(scope, begun.token, { status: 200, contentType: 'application/json', body: '{"a":1}' });
  expect(await idempotency.begin(scope, 'print', 60_000)).toEqual({
    outcome: 'replay',
    answer: { status: 200, contentType: 'application/json', bodyBytes: 7, body: '{"a":1}' },
  });
}

/** Jobs of a queue are added in bulk, deduplicated, looked up, worked on and gone. */
async function runsJobs({ queues }: Opened): Promise<void> {
  const name = `test-${randomUUID()}`;
  const schema = z.object({ n: z.int() });
  const queue = openQueue(queues, name, schema);
  await queue.add(Array.from({ length: 20 }, (_, n) => ({ id: `job-${n}`, data: { n } })));
  await queue.add([{ id: 'job-0', data: { n: 0 } }]);
  await queue.addLatest('once', { n: 100 });
  await queue.addLatest('once', { n: 100 });
  expect((await queue.depth()).waiting).toBe(21);
  expect(await queue.missing(['job-3', 'job-none'])).toEqual(['job-none']);
  const seen: number[] = [];
  const worker = work(queues, { name, schema, concurrency: 4, lockMs: 60_000, process: async ({ data }) => void seen.push(data.n), onError: () => undefined });
  await waitFor(async () => seen.length === 21 && (await queue.missing(['job-3'])).length === 1);
  expect(seen.toSorted((a, b) => a - b)).toEqual([...Array.from({ length: 20 }, (_, n) => n), 100]);
  await worker.close();
  await queue.close();
}

describe('Redis Cluster', () => {
  let cluster: RedisCluster;
  let opened: Opened;
  const nodeOf = (key: string): number => Math.floor((calculateSlot(key) * 3) / 16_384);
  const callerOn = (node: number): Caller => {
    for (;;) {
      const caller = newCaller();
      if (nodeOf(`omg:{${caller.tenantId}}:attempts`) === node) return caller;
    }
  };
  const callers = [0, 1, 2].flatMap((node) => Array.from({ length: 4 }, () => callerOn(node)));

  beforeAll(async () => {
    cluster = await startRedisCluster();
    opened = open({ url: cluster.url });
    await Promise.all([opened.request, opened.background, opened.queues].map((client) => waitFor(isUp(client))));
  });

  afterAll(() => opened.close());

  it('runs every step of an attempt for tenants on all nodes', async () => {
    for (const caller of callers) await liveThrough(opened, caller);
    expect(await opened.ledger.activeTenants()).toEqual(expect.arrayContaining(callers.map(({ tenantId }) => tenantId)));
  });

  it('decides concurrent calls of many tenants in shared pipelines exactly', async () => {
    const limits = { key: WIDE_LIMITS, tenant: { ...WIDE_LIMITS, requestsPerMinute: 20 } };
    const fresh = Array.from({ length: 8 }, newCaller);
    const results = await Promise.all(
      Array.from({ length: 50 }).flatMap(() => fresh.map(async (caller) => ({ caller, ...(await opened.admission.admit(admitRequest(caller, { limits }))) }))),
    );
    for (const caller of fresh) expect(results.filter((result) => result.caller === caller && result.admitted)).toHaveLength(20);
  });

  it('replays answers, keeps sign-in state and runs the queues', async () => {
    await replays(opened, callers[0]!);
    expect(await opened.auth.countAttempt(['a', 'b', 'c'], 60_000)).toEqual([1, 1, 1]);
    await opened.auth.putLogin('state', 'document', 60_000);
    expect(await opened.auth.takeLogin('state')).toBe('document');
    await runsJobs(opened);
  });

  it('that has a node which hangs serves the tenants of the others meanwhile', async () => {
    // One node has the list of active tenants, which a tenant's first call in a minute is put on.
    const listed = nodeOf('omg:tenants');
    const [hanging, other] = [0, 1, 2].filter((node) => node !== listed) as [number, number];
    cluster.nodes[hanging]!.pause();
    try {
      let isAnswered = false;
      const waiting = opened.admission.admit(admitRequest(callerOn(hanging))).finally(() => (isAnswered = true));
      // It leaves before the others come.
      await immediate();
      await immediate();
      for (const node of [listed, other, listed, other]) expect((await opened.admission.admit(admitRequest(callerOn(node)))).admitted).toBe(true);
      expect(isAnswered).toBe(false);
      cluster.nodes[hanging]!.resume();
      expect((await waiting).admitted).toBe(true);
    } finally {
      cluster.nodes[hanging]!.resume();
    }
  });

  it('refuses the tenants of a node that stays silent at once, and those of no other', async () => {
    const listed = nodeOf('omg:tenants');
    const [silent, other] = [0, 1, 2].filter((node) => node !== listed) as [number, number];
    const changes: string[] = [];
    const store = new RedisAdmissionStore(opened.request, { commandTimeoutMs: 2_000, onCircuit: (state, _reason, node) => changes.push(`${state} ${node}`) });
    const ask = (node: number) => store.admit(admitRequest(callerOn(node)));
    const address = `127.0.0.1:${cluster.nodes[silent]!.port}`;
    cluster.nodes[silent]!.pause();
    try {
      await Promise.all(Array.from({ length: 20 }, () => expect(ask(silent)).rejects.toThrow('redis unavailable: timeout')));
      expect(changes).toEqual([`open ${address}`]);
      await expect(ask(silent)).rejects.toThrow('redis unavailable: circuit_open');
      for (const node of [listed, other, listed, other]) expect((await ask(node)).admitted).toBe(true);
    } finally {
      cluster.nodes[silent]!.resume();
    }
    await waitFor(async () => (await ask(silent)).admitted, { what: 'its tenants to be served again' });
    expect(changes).toEqual([`open ${address}`, `closed ${address}`]);
    store.close();
  });

  it('serves tenants that it has listed a minute ago while the node with the list hangs', async () => {
    const listed = nodeOf('omg:tenants');
    const caller = callerOn((listed + 1) % 3);
    expect((await opened.admission.admit(admitRequest(caller))).admitted).toBe(true);
    const { now } = performance;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 61_000);
    cluster.nodes[listed]!.pause();
    try {
      expect((await opened.admission.admit(admitRequest(caller))).admitted).toBe(true);
    } finally {
      cluster.nodes[listed]!.resume();
      clock.mockRestore();
    }
  });

  it('that loses a node serves the tenants of the others, and all of them when it is back', async () => {
    const [, , third] = cluster.nodes;
    await third!.kill();
    const lost = callerOn(2);
    await expect(opened.admission.admit(admitRequest(lost))).rejects.toThrow('redis unavailable');
    cluster.nodes[2] = await third!.again();
    await waitFor(async () => (await opened.admission.admit(admitRequest(lost))).admitted);
    await liveThrough(opened, newCaller());
  });
});

describe('Redis behind sentinels', () => {
  let sentinel: SentinelRedis;
  let opened: Opened;

  beforeAll(async () => {
    sentinel = await startSentinelRedis();
    opened = open({ url: sentinel.url });
    await Promise.all([opened.request, opened.background, opened.queues].map((client) => waitFor(isUp(client))));
  });

  afterAll(() => opened.close());

  it('is found by the name of its master, and after a failover the stores and queues go on with the replica', async () => {
    const caller = newCaller();
    await liveThrough(opened, caller);
    const request = admitRequest(caller, { budgets: budgets() });
    await opened.admission.admit(request);
    await waitFor(async () => (await opened.background.info('replication')).includes('lag=0'));
    await opened.background.wait(1, 30_000);
    await sentinel.killMaster();
    const settled = await waitFor(() => opened.admission.settle(settleRequest(request)).catch(() => undefined), {
      what: 'the replica to be promoted',
    });
    expect(settled.wasOpen).toBe(true);
    await Promise.all([opened.background, opened.queues].map((client) => waitFor(isUp(client))));
    await liveThrough(opened, newCaller());
    await runsJobs(opened);
  });
});

describe('Redis with TLS', () => {
  const password = 'p@ss:w/rd?#%';
  let tls: TlsRedis;

  beforeAll(async () => {
    tls = await startTlsRedis(password);
  });

  it('is reached with its authority, password and database number', async () => {
    const opened = open({ url: tls.url, tlsCaFile: tls.caFile });
    await Promise.all([opened.request, opened.background, opened.queues].map((client) => waitFor(isUp(client))));
    await liveThrough(opened, newCaller());
    await runsJobs(opened);
    expect(await opened.background.client('INFO')).toMatch(/ db=3 /);
    await opened.close();
  });

  it.each([
    ['an authority that did not sign its certificate', () => ({ url: tls.url })],
    ['a wrong password', () => ({ url: tls.url.replace(/:[^:@]*@/, ':wrong@'), tlsCaFile: tls.caFile })],
  ])('is not used with %s', async (_, settings) => {
    const failures: unknown[] = [];
    const client = connectRedis(settings(), {
      name: 'test',
      mode: 'request',
      observer: { ...silentObserver, onDown: (_name, error) => void failures.push(error) },
    });
    await waitFor(() => failures.length > 0);
    await expect(client.set('never', '1')).rejects.toThrow();
    expect(String(failures[0])).not.toContain(password);
    client.disconnect();
  });
});
