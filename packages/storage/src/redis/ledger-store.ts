import type { Cluster, Redis } from 'ioredis';
import type { BudgetTotalSeed, LedgerStore, StoredAttempt } from './admission.types.js';
import type { GuardOptions } from './circuits.js';
import { GuardedRedis } from './guarded-redis.js';
import { ACTIVE_TENANTS_KEY, tenantKeys } from './keys.js';
import { loadLuaScript } from './lua-script.js';

const RELEASE = loadLuaScript('release', 2);
const SEED = loadLuaScript('seed', 1);
const COUNT_DUE = loadLuaScript('count-due', 2);
const LIST = loadLuaScript('list-attempts', 3);
const END_EXPIRED = loadLuaScript('end-expired', 2);
const INSPECT = loadLuaScript('inspect', 3);
const FORGET = loadLuaScript('forget-tenant', 1);

/** A script that runs for long blocks every edge: more attempts than this go in several calls. */
const ATTEMPTS_PER_CALL = 256;
const TENANTS_PER_CHECK = 512;
/** Edges announce an active tenant every minute; this is several of their intervals. */
const IDLE_TENANT_MS = 10 * 60_000;

export interface LedgerStoreOptions extends GuardOptions {
  /** Tests only: replaces Redis's time. */
  nowMs?: () => number;
}

/** What the recorder does with attempts and totals. Same keys and failures as the admission store. */
export class RedisLedgerStore implements LedgerStore {
  private readonly redis: GuardedRedis;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly options: LedgerStoreOptions,
  ) {
    this.redis = new GuardedRedis(client, options);
  }

  async release(tenantId: string, attemptIds: readonly string[], totals: readonly BudgetTotalSeed[]): Promise<void> {
    const keys = tenantKeys(tenantId);
    if (attemptIds.length === 0) return this.seed(tenantId, totals);
    // The totals go with the first call: spent must have grown before (or when) the first hold is given back.
    for (let from = 0; from < attemptIds.length; from += ATTEMPTS_PER_CALL) {
      const ids = [...new Set(attemptIds.slice(from, from + ATTEMPTS_PER_CALL))];
      const args = [keys.base, this.now(), String(ids.length), ...ids, ...(from === 0 ? totalArgs(totals) : [])];
      await this.redis.script(RELEASE, [keys.attempts, keys.times], args);
    }
  }

  async seed(tenantId: string, totals: readonly BudgetTotalSeed[]): Promise<void> {
    if (totals.length === 0) return;
    const keys = tenantKeys(tenantId);
    await this.redis.script(SEED, [keys.budgets], [keys.base, this.now(), ...totalArgs(totals)]);
  }

  async dueAttempts(tenantId: string, olderThanMs: number): Promise<number> {
    const keys = tenantKeys(tenantId);
    return (await this.redis.script(COUNT_DUE, [keys.times, keys.cancelled], [String(olderThanMs), this.now()])) as number;
  }

  async expiredAttempts(tenantId: string, olderThanMs: number, limit: number): Promise<StoredAttempt[]> {
    return this.list(tenantId, 'open', olderThanMs, limit);
  }

  async endedAttempts(tenantId: string, olderThanMs: number, limit: number): Promise<StoredAttempt[]> {
    return this.list(tenantId, 'ended', olderThanMs, limit);
  }

  async endExpired(tenantId: string, attemptId: string, event: string): Promise<boolean> {
    const keys = tenantKeys(tenantId);
    const reply = await this.redis.script(END_EXPIRED, [keys.attempts, keys.times], [keys.base, attemptId, event, this.now()]);
    return reply === 1;
  }

  async activeTenants(): Promise<string[]> {
    const listed = await this.redis.run(ACTIVE_TENANTS_KEY, () => this.client.zrange(ACTIVE_TENANTS_KEY, '-inf', '+inf', 'BYSCORE', 'WITHSCORES'));
    const [seconds] = await this.redis.run(ACTIVE_TENANTS_KEY, () => this.client.time());
    const idleBeforeMs = Number(seconds) * 1000 - IDLE_TENANT_MS;
    const active: string[] = [];
    const idle: string[] = [];
    for (let i = 0; i + 1 < listed.length; i += 2) (Number(listed[i + 1]) < idleBeforeMs ? idle : active).push(listed[i]!);
    for (let i = 0; i < idle.length; i += TENANTS_PER_CHECK) {
      const kept = await Promise.all(idle.slice(i, i + TENANTS_PER_CHECK).map((tenantId) => this.keepIfBusy(tenantId)));
      active.push(...kept.filter((tenantId) => tenantId !== undefined));
    }
    return active;
  }

  async inspect(tenantId: string): ReturnType<LedgerStore['inspect']> {
    const keys = tenantKeys(tenantId);
    const reply = (await this.redis.script(INSPECT, [keys.budgets, keys.attempts, keys.times], [keys.base])) as (string | number)[];
    const budgets = [];
    for (let i = 3; i + 3 < reply.length; i += 4) {
      const [name, spent, open, version] = reply.slice(i, i + 4).map(String) as [string, string, string, string];
      budgets.push({
        ...readBudgetName(name),
        ...(spent === '' ? {} : { spentNano: BigInt(spent) }),
        openNano: BigInt(open),
        ...(version === '' ? {} : { version: BigInt(version) }),
      });
    }
    return { budgets, open: Number(reply[0]), ended: Number(reply[1]) };
  }

  /** Stops the background probe. The client belongs to its opener. */
  close(): void {
    this.redis.close();
  }

  private now(): string {
    return this.options.nowMs ? String(this.options.nowMs()) : '';
  }

  private async list(tenantId: string, state: 'open' | 'ended', olderThanMs: number, limit: number): Promise<StoredAttempt[]> {
    const keys = tenantKeys(tenantId);
    const reply = (await this.redis.script(
      LIST,
      [keys.attempts, keys.times, keys.cancelled],
      [state, String(olderThanMs), String(limit), this.now()],
    )) as string[];
    const found: StoredAttempt[] = [];
    for (let i = 0; i + 4 < reply.length; i += 5) {
      const [attemptId, at, keyId, held, payload] = reply.slice(i, i + 5) as [string, string, string, string, string];
      found.push({ attemptId, tenantId, keyId, atMs: Number(at), heldNano: BigInt(held), payload });
    }
    return found;
  }

  /** Undefined, and off the list, when the tenant has no attempt left and no edge announced it meanwhile. */
  private async keepIfBusy(tenantId: string): Promise<string | undefined> {
    const { attempts } = tenantKeys(tenantId);
    if ((await this.redis.run(attempts, () => this.client.hlen(attempts))) > 0) return tenantId;
    const gone = await this.redis.script(FORGET, [ACTIVE_TENANTS_KEY], [tenantId, String(IDLE_TENANT_MS)]);
    return gone === 1 ? undefined : tenantId;
  }
}

function totalArgs(totals: readonly BudgetTotalSeed[]): string[] {
  return totals.flatMap((total) => [
    total.scope,
    total.keyId ?? '',
    total.windowId,
    String(Math.trunc(total.windowEndMs)),
    total.spentNano.toString(),
    total.version.toString(),
    total.freshUntilMs !== undefined ? String(Math.trunc(total.freshUntilMs)) : total.freshForMs !== undefined ? `+${Math.trunc(total.freshForMs)}` : '',
  ]);
}

/** `budget:tenant:<window>` or `budget:key:<key id>:<window>`; window ids hold colons, key ids do not. */
function readBudgetName(name: string): { scope: string; keyId?: string; windowId: string } {
  const [, scope = '', ...rest] = name.split(':');
  if (scope !== 'key') return { scope, windowId: rest.join(':') };
  return { scope, keyId: rest[0]!, windowId: rest.slice(1).join(':') };
}
