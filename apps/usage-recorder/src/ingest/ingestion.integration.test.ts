import { randomUUID } from 'node:crypto';
import { QUEUES, budgetEvaluationJobSchema, type BudgetEvaluationJob } from '@omg/contracts';
import { ensureUsageStreams, readDeadLetters, subscribeToUsage, usageBacklog } from '@omg/storage';
import { openQueue, type JobQueue } from '@omg/storage/queues';
import { addCleanup, cleanUp, waitFor } from '@omg/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { UsageLedger } from '../persist/commit-usage.js';
import { openSurroundings, publish, publishEvents, type Surroundings } from '../testing.fixture.js';
import { usageEvent } from '../usage-event.fixture.js';
import { Ingestion } from './ingestion.js';

let s: Surroundings;
/** Long enough for a recorder on a busy machine to keep what it holds. */
const ACK_WAIT_MS = 6_000;
const running: Ingestion[] = [];
let evaluations: JobQueue<BudgetEvaluationJob>;

beforeAll(async () => {
  s = await openSurroundings();
  evaluations = openQueue(s.queueRedis, QUEUES.budgetEvaluation, budgetEvaluationJobSchema);
  addCleanup(() => evaluations.close());
  await ensureUsageStreams(await s.nats.connected(), { maxBytes: 64 * 1_048_576, replicas: 1, ackWaitMs: ACK_WAIT_MS });
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((ingestion) => ingestion.close()));
});

afterAll(cleanUp);

function startIngestion(): Ingestion {
  const ledger = new UsageLedger(s.database, {
    timezone: 'UTC',
    keepRequests: true,
    defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1_000_000_000n, warningThreshold: 0.8 }),
  });
  const ingestion = new Ingestion(
    { nats: s.nats, queueRedis: s.queueRedis, store: s.store, ledger, evaluations, metrics: s.metrics, log: s.log },
    { maxBytes: 64 * 1_048_576, replicas: 1, ackWaitMs: ACK_WAIT_MS, groupsMax: 2, usageKeptMs: () => 400 * 86_400_000 },
  );
  running.push(ingestion);
  return ingestion;
}

async function rowsOf(tenantId: string): Promise<number> {
  const { rows } = await s.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM usage_records WHERE tenant_id = $1', [tenantId]);
  return rows[0]!.n;
}

async function rollupOf(tenantId: string): Promise<number> {
  const { rows } = await s.pool.query<{ n: number }>('SELECT coalesce(sum(requests), 0)::int AS n FROM usage_rollups WHERE tenant_id = $1', [tenantId]);
  return rows[0]!.n;
}

async function streamIsEmpty(): Promise<boolean> {
  const backlog = await usageBacklog(await s.nats.connected());
  return backlog.waiting === 0 && backlog.unacknowledged === 0 && backlog.oldestAtMs === undefined;
}

describe('usage on the bus', () => {
  it('becomes rows, and only then leaves the stream', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    await publishEvents(s.nats, [usageEvent(who), usageEvent(who), usageEvent(who)]);
    expect(await streamIsEmpty()).toBe(false);
    startIngestion();
    await waitFor(streamIsEmpty);
    expect(await rowsOf(who.tenantId)).toBe(3);
  });

  it('that is delivered five times, by other batches and after the duplicate window, is booked once', async () => {
    const event = usageEvent();
    for (let i = 0; i < 5; i++) await publishEvents(s.nats, [event]);
    startIngestion();
    await waitFor(streamIsEmpty);
    await publishEvents(s.nats, [event]);
    await waitFor(streamIsEmpty);
    expect([await rowsOf(event.tenantId), await rollupOf(event.tenantId)]).toEqual([1, 1]);
  });

  it('that was delivered to a recorder which vanished comes to another one', async () => {
    const event = usageEvent();
    const connection = await s.nats.connected();
    let delivered = 0;
    const vanished = await subscribeToUsage(connection, () => (delivered += 1));
    await publishEvents(s.nats, [event]);
    await waitFor(() => delivered > 0);
    await vanished.stop();
    startIngestion();
    await waitFor(streamIsEmpty);
    expect(await rowsOf(event.tenantId)).toBe(1);
  });

  it('is booked once by two recorders at once, whatever the batches', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const events = Array.from({ length: 300 }, () => usageEvent(who));
    startIngestion();
    startIngestion();
    for (let i = 0; i < 300; i += 20) {
      await publishEvents(s.nats, events.slice(i, i + 20));
      await publishEvents(s.nats, events.slice(Math.max(0, i - 10), i + 10));
    }
    await waitFor(streamIsEmpty);
    expect([await rowsOf(who.tenantId), await rollupOf(who.tenantId)]).toEqual([300, 300]);
  });

  it('that nobody can read is dead-lettered with its reason, and its neighbours are booked', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const negative = { ...usageEvent(who), meters: { inputTokens: -5, outputTokens: 1 } };
    const future = { ...usageEvent(who), v: 7 };
    const withNul = usageEvent({ ...who, modelAlias: 'a\u0000b' });
    const poisoned = [usageEvent(who), negative, usageEvent(who), future, withNul, usageEvent(who)];
    startIngestion();
    await publish(s.nats, '{"v":1,"batchId":');
    await publish(s.nats, JSON.stringify({ v: 2, batchId: 'from-the-future', events: [] }));
    const batchId = await publishEvents(s.nats, poisoned);
    await publishEvents(s.nats, [usageEvent({ ...who, atMs: Date.now() - 500 * 86_400_000 })]);
    await waitFor(streamIsEmpty);
    expect(await rowsOf(who.tenantId)).toBe(3);
    const letters = await readDeadLetters(await s.nats.connected(), 100);
    expect(letters.map((letter) => letter.reason).toSorted()).toEqual([
      'invalid_event',
      'malformed_batch',
      'refused_by_database',
      'too_old',
      'unknown_version',
      'unknown_version',
    ]);
    expect(letters.find((letter) => letter.reason === 'invalid_event')).toMatchObject({ batchId, detail: 'meters.inputTokens: too_small' });
    expect(s.metrics.deadLetters.child('refused_by_database').value).toBe(1);
  });

  it('waits in the stream while Postgres refuses, and is booked when it is back', async () => {
    const event = usageEvent();
    await s.pool.query('ALTER TABLE usage_rollups RENAME TO usage_rollups_away');
    startIngestion();
    await publishEvents(s.nats, [event]);
    await waitFor(() => s.metrics.waits.child('commit').value > 2);
    expect(await streamIsEmpty()).toBe(false);
    await s.pool.query('ALTER TABLE usage_rollups_away RENAME TO usage_rollups');
    await waitFor(streamIsEmpty);
    expect(await rowsOf(event.tenantId)).toBe(1);
  });

  it('is delivered once although its booking takes several waits, whether its job runs or waits behind others', async () => {
    const connection = await s.nats.connected();
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const again = s.metrics.batches.child('again').value;
    let signs = 0;
    const listening = connection.subscribe('$JS.ACK.USAGE.>', { callback: (_, message) => void (signs += message.string() === '+WPI' ? 1 : 0) });
    const blocker = await s.pool.connect();
    await blocker.query('BEGIN; LOCK TABLE usage_rollups');
    startIngestion();
    // More than the jobs that run at a time.
    const messages = 300;
    for (let i = 0; i < messages; i++) await publishEvents(s.nats, [usageEvent(who)]);
    // Five signs of life of each message make one wait.
    await waitFor(() => signs >= messages * 10, { what: 'two waits to go by' });
    await blocker.query('COMMIT');
    blocker.release();
    await waitFor(streamIsEmpty);
    listening.unsubscribe();
    expect(s.metrics.batches.child('again').value).toBe(again);
    expect(await rowsOf(who.tenantId)).toBe(messages);
  });

  it('is booked although Redis loses the queue with the job in it', async () => {
    const events = [usageEvent(), usageEvent()];
    await s.pool.query('ALTER TABLE usage_rollups RENAME TO usage_rollups_away');
    const before = s.metrics.waits.child('commit').value;
    startIngestion();
    await publishEvents(s.nats, [events[0]]);
    await waitFor(() => s.metrics.waits.child('commit').value > before);
    await s.redis.flushdb();
    await publishEvents(s.nats, [events[1]]);
    await s.pool.query('ALTER TABLE usage_rollups_away RENAME TO usage_rollups');
    await waitFor(streamIsEmpty);
    expect(await Promise.all(events.map((event) => rowsOf(event.tenantId)))).toEqual([1, 1]);
  });
});

describe('a settled attempt', () => {
  it('is released with the new total as soon as it is committed', async () => {
    const who = { tenantId: randomUUID(), apiKeyId: randomUUID() };
    const windows = { schedule: 'daily', tenant: `daily:${new Date().toISOString().slice(0, 10)}` };
    const event = usageEvent({ ...who, windows });
    const budgets = { tenant: { windowId: windows.tenant, windowEndMs: Date.now() + 86_400_000, limitNano: 1_000_000n } };
    const limits = { requestsPerMinute: 10, tokensPerMinute: 1_000, parallelRequests: 5 };
    const common = { attemptId: event.id, tenantId: who.tenantId, keyId: who.apiKeyId, budgets };
    await s.admission.admit({
      ...common,
      limits: { key: limits, tenant: limits },
      estimatedTokens: 10,
      holdNano: 4000n,
      holdMinNano: 1n,
      unseededAllowanceNano: 10_000n,
      leaseMs: 60_000,
      attempt: '{}',
    });
    await s.admission.settle({ ...common, tokens: 15, costNano: 1500n, event: JSON.stringify(event) });
    startIngestion();
    await publishEvents(s.nats, [event]);
    await waitFor(streamIsEmpty);
    const state = await s.store.inspect(who.tenantId);
    expect(state).toMatchObject({ open: 0, ended: 0 });
    expect(state.budgets).toEqual([expect.objectContaining({ scope: 'tenant', windowId: windows.tenant, spentNano: 1500n, openNano: 0n })]);
  });
});
