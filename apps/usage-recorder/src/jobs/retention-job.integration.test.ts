import { randomUUID } from 'node:crypto';
import { cleanUp } from '@omg/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UsageLedger } from '../persist/commit-usage.js';
import { openSurroundings, type Surroundings } from '../testing.fixture.js';
import { usageEvent } from '../usage-event.fixture.js';
import { RecurringJobs } from './recurring.js';
import { makePartitions, purge } from './retention-job.js';

const DAY_MS = 86_400_000;
const forever = new AbortController().signal;

let s: Surroundings;

beforeAll(async () => {
  s = await openSurroundings();
});

beforeEach(async () => {
  await s.pool.query('TRUNCATE requests, usage_records, usage_rollups, budget_totals');
});

afterAll(cleanUp);

async function bookAtAges(...days: number[]): Promise<void> {
  const ledger = new UsageLedger(s.database, {
    timezone: 'UTC',
    keepRequests: true,
    defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1n, warningThreshold: 0.8 }),
  });
  await ledger.commit(days.map((age) => usageEvent({ atMs: Date.now() - age * DAY_MS })));
}

async function countOf(table: string): Promise<number> {
  return (await s.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]!.n;
}

const run = (retention: { metadataDays: number; zeroRetention: boolean }) =>
  purge({ database: s.database, metrics: s.metrics, log: s.log }, retention, Date.now(), forever);

describe('retention', () => {
  it('deletes request rows after their days, and usage rows only when no budget window can need them', async () => {
    await bookAtAges(0, 29, 31, 399, 401);
    await run({ metadataDays: 30, zeroRetention: false });
    expect([await countOf('requests'), await countOf('usage_records')]).toEqual([2, 4]);
  });

  it('keeps sums for ever', async () => {
    await bookAtAges(0, 401);
    const before = await countOf('usage_rollups');
    await run({ metadataDays: 30, zeroRetention: false });
    expect(await countOf('usage_rollups')).toBe(before);
  });

  it('of 0 days keeps everything', async () => {
    await bookAtAges(0, 1_000);
    await run({ metadataDays: 0, zeroRetention: false });
    expect([await countOf('requests'), await countOf('usage_records')]).toEqual([2, 2]);
  });

  it('zero leaves no request row, and usage rows only while a redelivery must be recognised', async () => {
    await bookAtAges(0, 6, 8);
    await run({ metadataDays: 30, zeroRetention: true });
    expect([await countOf('requests'), await countOf('usage_records')]).toEqual([0, 2]);
  });
});

describe('partitions', () => {
  it('of the coming months are there before their first row, and rows that came earlier move in', async () => {
    const future = usageEvent({ atMs: Date.now() + 70 * DAY_MS });
    const month = new Date(future.endedAtMs).toISOString().slice(0, 7).replace('-', 'm');
    await s.pool.query(`DROP TABLE IF EXISTS usage_records_y${month}, requests_y${month}`);
    const ledger = new UsageLedger(s.database, {
      timezone: 'UTC',
      keepRequests: true,
      defaults: () => Promise.resolve({ schedule: 'calendar_month', limitNano: 1n, warningThreshold: 0.8 }),
    });
    await ledger.commit([future]);
    const partitionOf = async () =>
      (await s.pool.query<{ name: string }>('SELECT tableoid::regclass::text AS name FROM usage_records WHERE id = $1', [future.id])).rows[0]!.name;
    expect(await partitionOf()).toBe('usage_records_default');
    await makePartitions({ database: s.database, metrics: s.metrics, log: s.log });
    expect(await partitionOf()).toBe(`usage_records_y${month}`);
    await ledger.commit([future]);
    expect(await countOf('usage_records')).toBe(1);
  });
});

describe('a recurring job', () => {
  it('runs in one recorder at a time, and again after a failure', async () => {
    let [running, most, runs] = [0, 0, 0];
    let done: () => void;
    const enough = new Promise<void>((resolve) => (done = resolve));
    const job = {
      name: `job-${randomUUID()}`,
      everyMs: 5,
      firstAfterMs: 1,
      run: async () => {
        most = Math.max(most, (running += 1));
        await s.pool.query('SELECT pg_sleep(0.01)');
        running -= 1;
        if ((runs += 1) === 10) done();
        if (runs % 2 === 1) throw new Error('fails every other time');
      },
    };
    const replicas = [1, 2, 3].map(() => new RecurringJobs({ database: s.database, metrics: s.metrics, log: s.log }, [job]));
    await enough;
    await Promise.all(replicas.map((replica) => replica.close()));
    expect(most).toBe(1);
    expect(s.metrics.jobFailures.child(job.name).value).toBeGreaterThanOrEqual(4);
  });
});
