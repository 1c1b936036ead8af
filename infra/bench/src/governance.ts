import { randomUUID } from 'node:crypto';
import { cpus } from 'node:os';
import { cleanUp, startRedis } from '@omg/testkit';
import { RedisAdmissionStore, RedisLedgerStore, connectRedis, type AdmitRequest, type BudgetClaim } from '@omg/storage';
import { measureGoverned, type GovernedFigures } from './governed-load.ts';
import type { LoadResult } from './load.ts';
import { cpuMicros, publish } from './report.ts';

/**
 * What governance costs: whole calls next to an ungoverned proxy in the same run, with an empty ledger and a full one; and
 * its two Redis calls alone, with few keys and with many, and with little and much already waiting to be booked.
 */
const USAGE_ROWS = Number(process.env['BENCH_USAGE_ROWS'] ?? 5_000_000);
const CONCURRENCY = 64;
const REQUESTS = 20_000;
const RELEASE_AT_ONCE = 128;
const WIDE = { requestsPerMinute: 1e9, tokensPerMinute: 1e12, parallelRequests: 1e9 };
const ATTEMPT = JSON.stringify({ v: 1, pad: 'x'.repeat(400) });
const EVENT = JSON.stringify({ v: 1, pad: 'x'.repeat(900) });

interface Measured {
  perSecond: number;
  redisMicros: number;
  clientMicros: number;
  releaseMicros: number;
}

const few = '10/0';
const many = '100000/0';
const late = '10/200000';

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  const governed = await measureGoverned(USAGE_ROWS, (line) => process.stdout.write(`${line}\n`));
  const measured = new Map<string, Measured>();
  for (const [keys, waiting] of [
    [10, 0],
    [100_000, 0],
    [10, 200_000],
  ] as const)
    measured.set(`${keys}/${waiting}`, await measure(keys, waiting));
  report(governed, measured);
}

function report({ ungoverned, governed }: GovernedFigures, stores: ReadonlyMap<string, Measured>): void {
  const micros = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(1)} µs`);
  const [empty, full] = governed as [GovernedFigures['governed'][number], GovernedFigures['governed'][number]];
  const ratio = (a: number, b: number): string => (a / b).toFixed(2);
  const cost = (one: typeof empty): number => one.load.cpu['gateway']! + one.load.cpu['redis']! + one.load.cpu['nats']!;
  publish({
    name: 'governance',
    title: 'What governance costs',
    method: [
      'Whole sync chat calls against a static provider, 32 at a time. The governed path checks the key, decides requests, tokens, parallel calls and the',
      'budgets of key and tenant in one Redis call, settles in another, and its usage is stored in Redis and sent to the stream before the answer ends.',
      'The ungoverned one is a proxy of the same runtime (Node, undici) that parses both bodies and does nothing else. Each has one core to itself;',
      'load generator, provider, Redis, NATS and Postgres share the other. The recorder is paused during the load and then books all of it, alone. Then',
      `${USAGE_ROWS.toLocaleString('en')} usage rows of ${(1_000).toLocaleString('en')} other tenants are put into the ledger, and the governed half is measured again.`,
    ],
    columns: [
      'path',
      'usage rows before',
      'requests/s',
      'p50',
      'p99',
      'failures',
      'CPU per request: gateway',
      'Redis',
      'NATS',
      'CPU per booked event: recorder',
      'Postgres',
    ],
    rows: [
      ['ungoverned', '', ...loadCells(ungoverned), micros(ungoverned.cpu['gateway']), '', '', '', ''],
      ...governed.map(({ rows, load, booked }) => [
        'governed',
        rows.toLocaleString('en'),
        ...loadCells(load),
        micros(load.cpu['gateway']),
        micros(load.cpu['redis']),
        micros(load.cpu['nats']),
        micros(booked.recorder),
        micros(booked.postgres),
      ]),
    ],
    more: [
      {
        title: 'The two Redis calls alone',
        method: [
          `${REQUESTS.toLocaleString('en')} requests, ${CONCURRENCY} at a time over one connection with automatic pipelining: one admission and one settlement each, then released in groups of ${RELEASE_AT_ONCE} as the recorder does. Redis has its append-only file on.`,
        ],
        columns: ['virtual keys', 'attempts waiting to be booked', 'per second', 'Redis per request', 'Redis per release', 'client per request'],
        rows: [...stores].map(([name, one]) => {
          const [keys, waiting] = name.split('/').map(Number) as [number, number];
          return [
            keys.toLocaleString('en'),
            waiting.toLocaleString('en'),
            one.perSecond,
            micros(one.redisMicros),
            micros(one.releaseMicros),
            micros(one.clientMicros),
          ];
        }),
      },
    ],
    findings: [
      `One core of gateway carries ${Math.round(1e6 / empty.load.cpu['gateway']!).toLocaleString('en')} governed requests per second by its CPU per request, the ungoverned proxy ${Math.round(1e6 / ungoverned.cpu['gateway']!).toLocaleString('en')}: governance and everything else that the gateway does cost ${ratio(empty.load.cpu['gateway']!, ungoverned.cpu['gateway']!)} times a bare proxy's CPU.`,
      `With ${full.rows.toLocaleString('en')} usage rows a request costs ${ratio(cost(full), cost(empty))} times what it cost with ${empty.rows.toLocaleString('en')} (gateway, Redis and NATS together), a booked event ${ratio(full.booked.recorder + full.booked.postgres, empty.booked.recorder + empty.booked.postgres)} times (recorder and Postgres together).`,
      `100,000 keys cost Redis ${ratio(stores.get(many)!.redisMicros, stores.get(few)!.redisMicros)} times what 10 keys cost per request; 200,000 attempts that wait to be booked make a request cost ${ratio(stores.get(late)!.redisMicros, stores.get(few)!.redisMicros)} times as much.`,
      `One Redis core carries about ${Math.round(1e6 / stores.get(few)!.redisMicros).toLocaleString('en')} governed requests per second in shared pipelines.`,
    ],
  });
}

const loadCells = ({ perSecond, p50Ms, p99Ms, failures }: LoadResult): (string | number)[] => [
  Math.round(perSecond),
  `${p50Ms.toFixed(2)} ms`,
  `${p99Ms.toFixed(2)} ms`,
  failures,
];

/** A fresh Redis; `waiting` attempts are settled and not released before the measurement begins. */
async function measure(keys: number, waiting: number): Promise<Measured> {
  const service = await startRedis();
  const redis = connectRedis({ url: service.url }, { name: 'bench', mode: 'background', autoPipelining: true });
  const store = new RedisAdmissionStore(redis, { commandTimeoutMs: 5_000 });
  const ledger = new RedisLedgerStore(redis, { commandTimeoutMs: 5_000 });
  // A tenth as many tenants as keys; at least one.
  const tenants = Array.from({ length: Math.max(1, Math.ceil(keys / 10)) }, () => randomUUID());
  const keyIds = Array.from({ length: keys }, () => randomUUID());
  const pid = service.identity.pid;
  try {
    await run(store, tenants, keyIds, Math.max(waiting, 2_000));
    const before = { redis: cpuMicros(pid), client: process.cpuUsage(), at: performance.now() };
    const ended = await run(store, tenants, keyIds, REQUESTS);
    const seconds = (performance.now() - before.at) / 1000;
    const client = process.cpuUsage(before.client);
    const redisUsed = cpuMicros(pid) - before.redis;
    const releaseFrom = cpuMicros(pid);
    for (const [tenantId, ids] of ended)
      for (let i = 0; i < ids.length; i += RELEASE_AT_ONCE) await ledger.release(tenantId, ids.slice(i, i + RELEASE_AT_ONCE), []);
    return {
      perSecond: Math.round(REQUESTS / seconds),
      redisMicros: round(redisUsed / REQUESTS),
      clientMicros: round((client.user + client.system) / REQUESTS),
      releaseMicros: round((cpuMicros(pid) - releaseFrom) / REQUESTS),
    };
  } finally {
    store.close();
    ledger.close();
    redis.disconnect();
    await service.stop();
  }
}

async function run(store: RedisAdmissionStore, tenants: readonly string[], keyIds: readonly string[], count: number): Promise<Map<string, string[]>> {
  const ended = new Map<string, string[]>();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const at = next++ % keyIds.length;
      const tenantId = tenants[at % tenants.length]!;
      const request = requestOf(tenantId, keyIds[at]!);
      const { admitted } = await store.admit(request);
      if (!admitted) throw new Error('the benchmark was refused');
      const { attemptId, keyId, budgets } = request;
      await store.settle({ attemptId, tenantId, keyId, budgets, tokens: 120, costNano: 900n, event: EVENT });
      const ids = ended.get(tenantId);
      if (ids) ids.push(attemptId);
      else ended.set(tenantId, [attemptId]);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return ended;
}

function requestOf(tenantId: string, keyId: string): AdmitRequest {
  const claim: BudgetClaim = { windowId: 'calendar_month:2026-11-01', windowEndMs: Date.now() + 86_400_000, limitNano: 10n ** 15n };
  return {
    attemptId: randomUUID(),
    tenantId,
    keyId,
    limits: { key: WIDE, tenant: WIDE },
    estimatedTokens: 100,
    holdNano: 1_000n,
    holdMinNano: 0n,
    budgets: { tenant: claim, key: claim },
    unseededAllowanceNano: 10n ** 15n,
    leaseMs: 60_000,
    attempt: ATTEMPT,
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;

try {
  await main();
} finally {
  await cleanUp();
}
