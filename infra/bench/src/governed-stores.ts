import { randomUUID } from 'node:crypto';
import { startRedis } from '@omg/testkit';
import { RedisAdmissionStore, RedisLedgerStore, connectRedis, type AdmitRequest, type BudgetClaim } from '@omg/storage';
import { ownCpuMicros } from './processes.ts';
import { compactAppendOnlyFile } from './redis-server.ts';

/** The two Redis calls of a request alone, without a gateway. */
export const CONCURRENCY = 64;
export const REQUESTS = 20_000;
const WARM_UP = 2_000;
/** Each key is called this often before. */
const ROUNDS = 3;
/** The scripts' time advances by this rate, whatever the machine reaches: so long is the silence between two calls of a key. */
export const SIMULATED_PER_SECOND = 3_000;
export const RELEASE_AT_ONCE = 128;
const WIDE = { requestsPerMinute: 1e9, tokensPerMinute: 1e12, parallelRequests: 1e9 };
const ATTEMPT = JSON.stringify({ v: 1, pad: 'x'.repeat(400) });
const EVENT = JSON.stringify({ v: 1, pad: 'x'.repeat(900) });

export interface StoreShape {
  keys: number;
  tenants: number;
  /** Attempts that are settled and not released before the measurement begins. */
  waiting: number;
}

export interface StoreFigures {
  perSecond: number;
  redisMicros: number;
  clientMicros: number;
  releaseMicros: number;
}

/** A fresh Redis that every key has called several times, in turn. */
export async function measureStores({ keys, tenants: tenantCount, waiting }: StoreShape): Promise<StoreFigures> {
  const service = await startRedis();
  const redis = connectRedis({ url: service.url }, { name: 'bench', mode: 'background' });
  let calls = 0;
  const startedMs = Date.now();
  const options = { commandTimeoutMs: 5_000, nowMs: () => startedMs + Math.floor((calls * 1000) / SIMULATED_PER_SECOND) };
  const store = new RedisAdmissionStore(redis, options);
  const ledger = new RedisLedgerStore(redis, options);
  const tenants = Array.from({ length: tenantCount }, () => randomUUID());
  const keyIds = Array.from({ length: keys }, () => randomUUID());
  const pid = service.identity.pid;
  const run = async (count: number): Promise<Map<string, string[]>> => {
    const ended = new Map<string, string[]>();
    const last = calls + count;
    const worker = async (): Promise<void> => {
      while (calls < last) {
        const at = calls++ % keyIds.length;
        const tenantId = tenants[at % tenants.length]!;
        const attemptId = await call(store, requestOf(tenantId, keyIds[at]!));
        const ids = ended.get(tenantId);
        if (ids) ids.push(attemptId);
        else ended.set(tenantId, [attemptId]);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    return ended;
  };
  try {
    for (let round = 0; round < ROUNDS; round++) await release(ledger, await run(Math.max(keys, WARM_UP)));
    await run(waiting);
    await compactAppendOnlyFile(service.url);
    const before = { redis: ownCpuMicros(pid), client: process.cpuUsage(), at: performance.now() };
    const ended = await run(REQUESTS);
    const seconds = (performance.now() - before.at) / 1000;
    const client = process.cpuUsage(before.client);
    const redisUsed = ownCpuMicros(pid) - before.redis;
    const releaseFrom = ownCpuMicros(pid);
    await release(ledger, ended);
    return {
      perSecond: Math.round(REQUESTS / seconds),
      redisMicros: round(redisUsed / REQUESTS),
      clientMicros: round((client.user + client.system) / REQUESTS),
      releaseMicros: round((ownCpuMicros(pid) - releaseFrom) / REQUESTS),
    };
  } finally {
    store.close();
    ledger.close();
    redis.disconnect();
    await service.stop();
  }
}

async function release(ledger: RedisLedgerStore, ended: ReadonlyMap<string, string[]>): Promise<void> {
  for (const [tenantId, ids] of ended)
    for (let i = 0; i < ids.length; i += RELEASE_AT_ONCE) await ledger.release(tenantId, ids.slice(i, i + RELEASE_AT_ONCE), []);
}

async function call(store: RedisAdmissionStore, request: AdmitRequest): Promise<string> {
  const { admitted } = await store.admit(request);
  if (!admitted) throw new Error('the benchmark was refused');
  const { attemptId, tenantId, keyId, budgets } = request;
  await store.settle({ attemptId, tenantId, keyId, budgets, tokens: 120, costNano: 900n, event: EVENT });
  return attemptId;
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
