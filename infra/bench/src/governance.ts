import { randomUUID } from 'node:crypto';
import { cleanUp, startRedis } from '@omg/testkit';
import { RedisAdmissionStore, RedisLedgerStore, connectRedis, type AdmitRequest, type BudgetClaim } from '@omg/storage';
import { cpuMicros, publish } from './report.ts';

/**
 * What governance costs in Redis: admission (limits, leases and budgets of key and tenant), settlement and release, per
 * request, with few keys and with many, and with little and much already waiting to be booked.
 */
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

async function main(): Promise<void> {
  const rows: (string | number)[][] = [];
  const measured = new Map<string, Measured>();
  for (const [keys, waiting] of [
    [10, 0],
    [100_000, 0],
    [10, 200_000],
  ] as const) {
    const one = await measure(keys, waiting);
    measured.set(`${keys}/${waiting}`, one);
    rows.push([keys.toLocaleString('en'), waiting.toLocaleString('en'), one.perSecond, one.redisMicros, one.releaseMicros, one.clientMicros]);
  }
  const few = measured.get('10/0')!;
  const many = measured.get('100000/0')!;
  const late = measured.get('10/200000')!;
  publish({
    name: 'governance',
    title: 'What governance costs in Redis',
    method: [
      `${REQUESTS.toLocaleString('en')} requests with ${CONCURRENCY} at a time over one connection with automatic pipelining: one admission and one settlement each, then released in groups of ${RELEASE_AT_ONCE} as the recorder does. Redis runs on its own process with its append-only file on; the client is this process. CPU times are user and system of each process.`,
    ],
    columns: [
      'virtual keys',
      'attempts waiting to be booked',
      'admit + settle per second',
      'Redis µs per request',
      'Redis µs per release',
      'client µs per request',
    ],
    rows,
    findings: [
      `100,000 keys cost Redis ${(many.redisMicros / few.redisMicros).toFixed(2)} times what 10 keys cost per request.`,
      `200,000 attempts that wait to be booked make a request cost ${(late.redisMicros / few.redisMicros).toFixed(2)} times as much.`,
      `One Redis core carries about ${Math.round(1e6 / few.redisMicros).toLocaleString('en')} governed requests per second.`,
    ],
  });
}

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
