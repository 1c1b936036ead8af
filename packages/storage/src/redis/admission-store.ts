import type { NanoUsd } from '@omg/domain';
import type { Cluster, Redis } from 'ioredis';
import type {
  AdmissionState,
  AdmissionStore,
  AdmitRequest,
  AdmitResult,
  BudgetClaim,
  BudgetState,
  ExtendHoldRequest,
  SettleRequest,
  SettleResult,
  StateRequest,
  WindowState,
} from './admission.types.js';
import type { GuardOptions } from './circuits.js';
import { GuardedRedis, RedisUnavailableError } from './guarded-redis.js';
import { ACTIVE_TENANTS_KEY, keyBudget, keyOpen, keyRate, tenantBudget, tenantKeys } from './keys.js';
import { loadLuaScript, type LuaScript } from './lua-script.js';
import { RecentTenants } from './recent-tenants.js';

const ADMIT = loadLuaScript('admit', 7);
const SETTLE = loadLuaScript('settle', 7);
const EXTEND_HOLD = loadLuaScript('extend-hold', 3);
const CANCEL = loadLuaScript('cancel', 6);
const RENEW = loadLuaScript('renew', 3);
const READ_STATE = loadLuaScript('read-state', 4);
const ANNOUNCE = loadLuaScript('announce-tenant', 1);

const ANNOUNCED_TTL_MS = 60 * 86_400_000;
const PAYLOAD_BYTES_MAX = 2_048;
const CANCELS_KEPT_MAX = 10_000;
const CANCELS_PER_FLUSH = 64;
const CANCEL_RETRY_MS = 250;

export interface AdmissionStoreOptions extends GuardOptions {
  /** Tests only: replaces Redis's time. */
  nowMs?: () => number;
}

/** The values of a script's answer, which come joined by commas: integers below 2^53 and words. */
type Reply = string[];

interface Cancellation {
  tenantId: string;
  keyId: string;
  attemptId: string;
}

/** Admission and settlement of the edge: one script call each. */
export class RedisAdmissionStore implements AdmissionStore {
  private readonly redis: GuardedRedis;
  private readonly announced = new RecentTenants();
  private readonly cancels: Cancellation[] = [];
  private cancelTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly options: AdmissionStoreOptions,
  ) {
    this.redis = new GuardedRedis(client, options);
  }

  /** True while Redis counts as away: calls reject at once. */
  get unavailable(): boolean {
    return this.redis.isOpen;
  }

  async admit(request: AdmitRequest): Promise<AdmitResult> {
    if (Buffer.byteLength(request.attempt) > PAYLOAD_BYTES_MAX) throw new RangeError('attempt payload is too large');
    const { tenantId } = request;
    // Sent ahead of the admission, so that the reaper knows of the tenant before there is an attempt to reap.
    const announcing = this.announced.isDue(tenantId) ? this.announce(tenantId) : undefined;
    announcing?.catch(() => undefined);
    const reply = await this.ask(ADMIT, callKeys(request), admitArgs(request, this.now()));
    const [reason, scope, retryAfterMs, held, first] = reply;
    // Redis had nothing of the tenant: although it was announced lately, Redis may have lost the list as well.
    if (first === '1') await (announcing ?? this.announce(tenantId));
    else if (!this.announced.isListed(tenantId)) await announcing;
    const state = readState(request, reply);
    if (!reason) return { admitted: true, heldNano: BigInt(held!), ...state };
    return {
      admitted: false,
      reason: reason as 'requests' | 'tokens' | 'parallel' | 'budget',
      scope: scope as 'key' | 'tenant',
      retryAfterMs: Number(retryAfterMs),
      ...state,
    };
  }

  async extendHold(request: ExtendHoldRequest): Promise<NanoUsd | undefined> {
    const { keyId, budgets } = request;
    const { base, attempts } = tenantKeys(request.tenantId);
    const numbers = `[${request.moreNano},${request.moreMinNano},${request.unseededAllowanceNano},${claimNumbers(budgets.tenant)},${claimNumbers(budgets.key)}]`;
    const more = await this.redis.script(
      EXTEND_HOLD,
      [attempts, tenantBudget(base, budgets.tenant.windowId), budgets.key ? keyBudget(base, keyId, budgets.key.windowId) : base],
      [base, request.attemptId, budgets.key?.windowId ?? '', numbers, this.now()],
    );
    return (more as number) < 0 ? undefined : BigInt(more as number);
  }

  async settle(request: SettleRequest): Promise<SettleResult> {
    const { keyId, budgets } = request;
    const reply = await this.ask(SETTLE, callKeys(request), [
      tenantKeys(request.tenantId).base,
      request.attemptId,
      keyId,
      budgets.tenant.windowId,
      budgets.key?.windowId ?? '',
      `[${request.tokens},${request.costNano},${claimNumbers(budgets.tenant)},${claimNumbers(budgets.key)}]`,
      request.event,
      this.now(),
    ]);
    return { wasOpen: reply[0] === '1', isStored: reply[0] !== '0', budgets: readBudgets(budgets, reply, 1) };
  }

  async renew(tenantId: string, keyId: string, attemptId: string, leaseMs: number): Promise<boolean> {
    const keys = tenantKeys(tenantId);
    const reply = await this.redis.script(RENEW, [keys.attempts, keys.times, keyOpen(keys.base, keyId)], [attemptId, String(leaseMs), this.now()]);
    return reply === 1;
  }

  async cancel(tenantId: string, keyId: string, attemptId: string): Promise<void> {
    try {
      await this.sendCancel({ tenantId, keyId, attemptId });
    } catch (error) {
      if (!(error instanceof RedisUnavailableError)) throw error;
      // Beyond the bound the oldest is left to the reaper, which books it as an estimate.
      if (this.cancels.length >= CANCELS_KEPT_MAX) this.cancels.shift();
      this.cancels.push({ tenantId, keyId, attemptId });
      this.scheduleCancels();
    }
  }

  async readState(request: StateRequest): Promise<AdmissionState> {
    const { keyId, limits, budgets } = request;
    const { base, rate } = tenantKeys(request.tenantId);
    const { key, tenant } = limits;
    const budgetLimits = `${budgets.tenant.limitNano},${budgets.key?.limitNano ?? 0}`;
    const reply = await this.ask(
      READ_STATE,
      [rate, keyRate(base, keyId), tenantBudget(base, budgets.tenant.windowId), budgets.key ? keyBudget(base, keyId, budgets.key.windowId) : base],
      [
        `[${key.requestsPerMinute},${key.tokensPerMinute},${tenant.requestsPerMinute},${tenant.tokensPerMinute},${budgetLimits}]`,
        budgets.key ? '1' : '',
        this.now(),
      ],
    );
    return readState(request, reply);
  }

  async serverTimeMs(): Promise<number> {
    const [seconds, micros] = await this.redis.run(ACTIVE_TENANTS_KEY, () => this.client.time());
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  }

  /** Stops the background work. The client belongs to its opener. */
  close(): void {
    this.closed = true;
    clearTimeout(this.cancelTimer);
    this.redis.close();
  }

  private async ask(script: LuaScript, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    return ((await this.redis.script(script, keys, args)) as string).split(',');
  }

  private now(): string {
    return this.options.nowMs ? String(this.options.nowMs()) : '';
  }

  private async announce(tenantId: string): Promise<void> {
    try {
      await this.redis.script(ANNOUNCE, [ACTIVE_TENANTS_KEY], [tenantId, String(ANNOUNCED_TTL_MS)]);
      this.announced.succeeded(tenantId);
    } catch (error) {
      this.announced.failed(tenantId);
      throw error;
    }
  }

  private async sendCancel({ tenantId, keyId, attemptId }: Cancellation): Promise<void> {
    const keys = tenantKeys(tenantId);
    await this.redis.script(
      CANCEL,
      [keys.attempts, keys.times, keyOpen(keys.base, keyId), keys.rate, keyRate(keys.base, keyId), keys.cancelled],
      [keys.base, attemptId, keyId, this.now()],
    );
  }

  private scheduleCancels(): void {
    if (this.closed || this.cancelTimer !== undefined) return;
    this.cancelTimer = setTimeout(() => void this.flushCancels(), CANCEL_RETRY_MS);
    this.cancelTimer.unref();
  }

  private async flushCancels(): Promise<void> {
    const batch = this.cancels.splice(0, CANCELS_PER_FLUSH);
    const results = await Promise.allSettled(batch.map((one) => this.sendCancel(one)));
    results.forEach((result, i) => {
      if (result.status === 'rejected') this.cancels.push(batch[i]!);
    });
    this.cancelTimer = undefined;
    if (this.cancels.length > 0) this.scheduleCancels();
  }
}

/** Admission and settlement touch the same keys. */
function callKeys({ tenantId, keyId, budgets }: Pick<AdmitRequest, 'tenantId' | 'keyId' | 'budgets'>): string[] {
  const { base, attempts, times, rate } = tenantKeys(tenantId);
  return [
    attempts,
    times,
    keyOpen(base, keyId),
    rate,
    keyRate(base, keyId),
    tenantBudget(base, budgets.tenant.windowId),
    budgets.key ? keyBudget(base, keyId, budgets.key.windowId) : base,
  ];
}

function admitArgs(request: AdmitRequest, now: string): string[] {
  const { key, tenant } = request.limits;
  const numbers =
    `[${key.requestsPerMinute},${key.tokensPerMinute},${key.parallelRequests},` +
    `${tenant.requestsPerMinute},${tenant.tokensPerMinute},${tenant.parallelRequests},` +
    `${request.estimatedTokens},${request.holdNano},${request.holdMinNano},${request.unseededAllowanceNano},` +
    `${claimNumbers(request.budgets.tenant)},${claimNumbers(request.budgets.key)},${request.leaseMs}]`;
  const windows = [request.budgets.tenant.windowId, request.budgets.key?.windowId ?? ''] as const;
  return [tenantKeys(request.tenantId).base, request.attemptId, request.keyId, ...windows, numbers, request.attempt, now];
}

function claimNumbers(claim: BudgetClaim | undefined): string {
  return claim ? `${claim.limitNano},${Math.trunc(claim.windowEndMs)}` : '0,0';
}

function readState(request: Pick<AdmitRequest, 'budgets'>, reply: Reply): AdmissionState {
  return { requests: readWindow(reply, 5), tokens: readWindow(reply, 8), budgets: readBudgets(request.budgets, reply, 11) };
}

function readWindow(reply: Reply, at: number): WindowState {
  return { limit: Number(reply[at]), remaining: Number(reply[at + 1]), resetMs: Number(reply[at + 2]) };
}

function readBudgets(claims: AdmitRequest['budgets'], reply: Reply, at: number): AdmissionState['budgets'] {
  const tenant = readBudget(claims.tenant, reply, at);
  return claims.key ? { tenant, key: readBudget(claims.key, reply, at + 3) } : { tenant };
}

function readBudget(claim: BudgetClaim, reply: Reply, at: number): BudgetState {
  return {
    limitNano: claim.limitNano,
    spentNano: reply[at] === '' ? undefined : BigInt(reply[at]!),
    openNano: BigInt(reply[at + 1]!),
    needsSeed: reply[at + 2] === '1',
  };
}
