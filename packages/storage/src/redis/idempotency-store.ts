import { createHash, randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import type { GuardOptions } from './circuits.js';
import { GuardedRedis } from './guarded-redis.js';
import { idempotencyEntry, tenantKeys } from './keys.js';
import { loadLuaScript } from './lua-script.js';

const BEGIN = loadLuaScript('idempotency-begin', 1);
const COMPLETE = loadLuaScript('idempotency-complete', 1);

export interface IdempotencyStoreOptions extends GuardOptions {
  /** How long an answer is replayed. */
  answerTtlMs?: number;
  /** Answers with a longer body are not kept. */
  bodyBytesMax?: number;
}

/** Whose key it is: another tenant, virtual key or route never meets it. */
export interface IdempotencyScope {
  tenantId: string;
  keyId: string;
  /** Method and route, such as `POST /v1/chat/completions`. */
  route: string;
  /** The client's `Idempotency-Key`. */
  clientKey: string;
}

export interface StoredAnswer {
  status: number;
  contentType: string;
  body: string;
}

export type IdempotencyBegin =
  /** The caller owns the lock and must complete or abort it with the token. */
  | { outcome: 'fresh'; token: string }
  | { outcome: 'replay'; answer: StoredAnswer }
  /** The first request still runs (409), or crashed less than its lease ago. */
  | { outcome: 'in_use'; retryAfterMs: number }
  /** The key was used with another body (422). */
  | { outcome: 'reused' };

const ANSWER_TTL_MS = 30 * 60_000;
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Answers by `Idempotency-Key`: a lock while the first request runs, its 2xx answer afterwards.
 *
 * The lock is a lease: a crashed edge blocks the key for no longer than that. A request that outlives its lease loses the
 * lock, and its answer is not stored over that of the request which took it. Rejects with a RedisUnavailableError like the
 * other stores.
 */
export class IdempotencyStore {
  private readonly redis: GuardedRedis;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly options: IdempotencyStoreOptions,
  ) {
    this.redis = new GuardedRedis(client, options);
  }

  /** `fingerprint` is a digest of the canonical body; `leaseMs` the longest time that the request can take. */
  async begin(scope: IdempotencyScope, fingerprint: string, leaseMs: number): Promise<IdempotencyBegin> {
    const token = randomUUID();
    const key = entryKey(scope);
    const giveBack = (late: unknown) => this.giveBack(key, token, late as string[]);
    const reply = (await this.redis.script(BEGIN, [key], [fingerprint, token, String(leaseMs)], giveBack)) as [string, ...(string | number)[]];
    switch (reply[0]) {
      case 'fresh':
        return { outcome: 'fresh', token };
      case 'replay':
        return { outcome: 'replay', answer: { status: Number(reply[1]), contentType: String(reply[2]), body: String(reply[3]) } };
      case 'in_use':
        return { outcome: 'in_use', retryAfterMs: Math.max(0, Number(reply[1])) };
      default:
        return { outcome: 'reused' };
    }
  }

  /**
   * Stores a 2xx answer and frees the lock. False: not stored, because the lock was lost, or the body is longer than the
   * bound; in that case the key is free again.
   */
  async complete(scope: IdempotencyScope, token: string, answer: StoredAnswer): Promise<boolean> {
    if (Buffer.byteLength(answer.body) > (this.options.bodyBytesMax ?? BODY_BYTES_MAX)) {
      await this.abort(scope, token);
      return false;
    }
    const ttlMs = this.options.answerTtlMs ?? ANSWER_TTL_MS;
    const args = [token, String(ttlMs), String(answer.status), answer.contentType, answer.body];
    return (await this.redis.script(COMPLETE, [entryKey(scope)], args)) === 1;
  }

  /** Frees the lock without an answer: the request failed, so the next one with this key runs. */
  async abort(scope: IdempotencyScope, token: string): Promise<void> {
    await this.redis.script(COMPLETE, [entryKey(scope)], [token, '0', '', '', '']);
  }

  /**
   * A lock that was taken after its request had been refused would keep the retry out for its whole lease. Past the guard, which
   * may still refuse calls at this moment.
   */
  private giveBack(key: string, token: string, [outcome]: readonly string[]): void {
    if (outcome !== 'fresh') return;
    this.client.eval(COMPLETE.source, COMPLETE.numberOfKeys, key, token, '0', '', '', '').catch(() => undefined);
  }

  /** Stops the background probe. The client belongs to its opener. */
  close(): void {
    this.redis.close();
  }
}

function entryKey(scope: IdempotencyScope): string {
  const digest = createHash('sha256').update(`${scope.route}\0${scope.clientKey}`).digest('base64url');
  return idempotencyEntry(tenantKeys(scope.tenantId).base, scope.keyId, digest);
}
