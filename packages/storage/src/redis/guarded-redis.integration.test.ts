import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startRedis, waitFor, within, type RunningService } from '@omg/testkit';
import { Redis } from 'ioredis';
import { setImmediate } from 'node:timers/promises';
import { admitRequest, newCaller, settleRequest } from './admission.fixture.js';
import { RedisAdmissionStore } from './admission-store.js';
import { RedisUnavailableError } from './guarded-redis.js';
import { IdempotencyStore } from './idempotency-store.js';
import { RedisLedgerStore } from './ledger-store.js';

/** What a caller may wait at most when Redis does not answer: the timeout, and some room. */
const REFUSAL_MS_MAX = 100;
const TIMEOUT_MS = 75;
/** For a call that a Redis which hangs never answers, where the figure does not matter. */
const GIVEN_UP_MS = 2_000;
/** For a call that Redis answers, however busy the machine. */
const PATIENT_MS = 60_000;

let service: RunningService;
let client: Redis;
/** With the timeout of the promise. */
let brisk: RedisAdmissionStore;
/** Of calls that are to be given up. */
let store: RedisAdmissionStore;
/** Of calls that are to be answered. */
let patient: RedisAdmissionStore;
let ledger: RedisLedgerStore;
const circuit: string[] = [];

beforeAll(async () => {
  service = await startRedis();
  client = new Redis(service.url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  });
  client.on('error', () => undefined);
  brisk = new RedisAdmissionStore(client, { commandTimeoutMs: TIMEOUT_MS, probeIntervalMs: 20, onCircuit: (state) => circuit.push(state) });
  store = new RedisAdmissionStore(client, { commandTimeoutMs: GIVEN_UP_MS, probeIntervalMs: 20 });
  patient = new RedisAdmissionStore(client, { commandTimeoutMs: PATIENT_MS, probeIntervalMs: 20 });
  ledger = new RedisLedgerStore(client, { commandTimeoutMs: PATIENT_MS, probeIntervalMs: 20 });
  await waitFor(() => client.status === 'ready');
  await patient.serverTimeMs();
});

afterAll(async () => {
  brisk.close();
  store.close();
  patient.close();
  ledger.close();
  client.disconnect();
  await cleanUp();
});

/** A caller has its refusal within so many milliseconds. */
async function isRefusedWithin(ms: number): Promise<void> {
  await expect(within(ms, brisk.admit(admitRequest(newCaller())))).rejects.toThrow(RedisUnavailableError);
}

const areRefusedWithin = (count: number, ms: number): Promise<void[]> => Promise.all(Array.from({ length: count }, () => isRefusedWithin(ms)));

async function admittedAgain(): Promise<void> {
  await waitFor(async () => (await store.admit(admitRequest(newCaller()))).admitted);
}

describe('a Redis that does not answer', () => {
  it('a Redis that hangs is a rejection within 100 ms, then at once, and is found again without traffic', async () => {
    await waitFor(async () => (await brisk.admit(admitRequest(newCaller()))).admitted);
    circuit.length = 0;
    service.pause();
    await areRefusedWithin(20, REFUSAL_MS_MAX);
    expect(brisk.unavailable).toBe(true);
    await areRefusedWithin(20, 20);
    service.resume();
    await waitFor(() => !brisk.unavailable);
    expect(circuit).toEqual(['open', 'closed']);
    await waitFor(async () => (await brisk.admit(admitRequest(newCaller()))).admitted);
  });

  it('a cancellation while Redis hangs is carried out when it is back: an admission that timed out leaves nothing behind', async () => {
    const caller = newCaller();
    const request = admitRequest(caller);
    service.pause();
    await expect(store.admit(request)).rejects.toThrow(RedisUnavailableError);
    await store.cancel(caller.tenantId, caller.keyId, request.attemptId);
    service.resume();
    await waitFor(async () => (await ledger.inspect(caller.tenantId)).open === 0);
    await waitFor(async () => (await ledger.inspect(caller.tenantId)).budgets.every((b) => b.openNano === 0n));
  });

  it('a script whose text Redis has forgotten is not sent again for a call that was given up', async () => {
    await admittedAgain();
    const caller = newCaller();
    await client.script('FLUSH');
    service.pause();
    await expect(store.admit(admitRequest(caller))).rejects.toThrow(RedisUnavailableError);
    service.resume();
    await admittedAgain();
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, budgets: [] });
  });

  it('a call that was given up while another was under way is never carried out', async () => {
    await admittedAgain();
    const caller = newCaller();
    service.pause();
    const sent = brisk.admit(admitRequest(caller));
    await setImmediate();
    const waiting = brisk.admit(admitRequest(caller));
    await Promise.all([sent, waiting].map((call) => expect(call).rejects.toThrow(RedisUnavailableError)));
    service.resume();
    await admittedAgain();
    expect((await ledger.inspect(caller.tenantId)).open).toBe(1);
  });

  it('the lock of an idempotency key that was asked for while Redis hangs is given back: the retry runs', async () => {
    const idempotency = new IdempotencyStore(client, { commandTimeoutMs: GIVEN_UP_MS, probeIntervalMs: 20, failuresToOpen: 1 });
    const { tenantId, keyId } = newCaller();
    const scope = { tenantId, keyId, route: 'POST /v1/chat/completions', clientKey: 'order-17' };
    service.pause();
    await expect(idempotency.begin(scope, 'f1', 60_000)).rejects.toThrow(RedisUnavailableError);
    service.resume();
    const outcomes: string[] = [];
    await waitFor(async () => outcomes.push((await idempotency.begin(scope, 'f1', 60_000)).outcome) > 0);
    expect(outcomes).toEqual(['fresh']);
    idempotency.close();
  });

  it('data of one tenant that no script can read leaves Redis open for the others', async () => {
    await admittedAgain();
    const [broken, unreadable] = [newCaller(), newCaller()];
    await client.set(`omg:{${broken.tenantId}}:attempts`, 'no hash');
    await client.set(`omg:{${unreadable.tenantId}}:rate`, 'no window');
    for (const caller of [broken, broken, broken, unreadable, unreadable, unreadable, broken])
      await expect(patient.admit(admitRequest(caller))).rejects.toMatchObject({ name: 'RedisUnavailableError', failure: 'reply' });
    expect(patient.unavailable).toBe(false);
    expect(await patient.admit(admitRequest(newCaller()))).toMatchObject({ admitted: true });
  });

  it('a settlement that timed out can be sent again', async () => {
    await admittedAgain();
    const caller = newCaller();
    const request = admitRequest(caller);
    await patient.admit(request);
    service.pause();
    await expect(store.settle(settleRequest(request))).rejects.toThrow(RedisUnavailableError);
    service.resume();
    await waitFor(async () => {
      await store.settle(settleRequest(request));
      return true;
    });
    expect(await ledger.inspect(caller.tenantId)).toMatchObject({ open: 0, ended: 1, budgets: [{ openNano: 500n }] });
  });

  it('a killed Redis is a rejection at once, and the scripts work on its successor', async () => {
    await admittedAgain();
    await service.kill();
    await waitFor(() => client.status !== 'ready');
    await isRefusedWithin(REFUSAL_MS_MAX);
    const port = Number(new URL(service.url).port);
    service = await startRedis({ port });
    await admittedAgain();
  });

  it('a full Redis is a rejection, not an unknown error', async () => {
    await admittedAgain();
    await client.config('SET', 'maxmemory', '1');
    await isRefusedWithin(REFUSAL_MS_MAX);
    await client.config('SET', 'maxmemory', '0');
    await admittedAgain();
  });
});
