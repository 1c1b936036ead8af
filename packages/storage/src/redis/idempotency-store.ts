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
  /** Longer bodies are read with `readBody`, once the caller knows that it wants so many bytes. */
  bodyBytesAtOnceMax?: number;
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

/** An answer that may be replayed. */
export interface KeptAnswer extends Omit<StoredAnswer, 'body'> {
  bodyBytes: number;
  /** Undefined: too long to be sent along. */
  body: string | undefined;
}

export type IdempotencyBegin =
  /** The caller owns the lock and must complete or abort it with the token. */
  | { outcome: 'fresh'; token: string }
  | { outcome: 'replay'; answer: KeptAnswer }
  /** The first request still runs (409), or crashed less than its lease ago. */
  | { outcome: 'in_use'; retryAfterMs: number }
  /** The key was used with another body (422). */
  | { outcome: 'reused' };

const ANSWER_TTL_MS = 30 * 60_000;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Redis has one thread: an answer of megabytes holds up everybody else's limits while it is sent. */
const BODY_BYTES_AT_ONCE_MAX = 64 * 1024;
const BODY_TIMEOUT_MS = 2_000;

/**
 * Answers by `Idempotency-Key`: a lock while the first request runs, its 2xx answer afterwards.
 *
 * The lock is a lease: a crashed edge blocks the key for no longer than that. A request that outlives its lease loses the
 * lock, and its answer is not stored over that of the request which took it. Rejects with a RedisUnavailableError like the
 * other stores.
 */
export class IdempotencyStore {
  private readonly redis: GuardedRedis;
  private readonly bodies: GuardedRedis;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly options: IdempotencyStoreOptions,
  ) {
    this.redis = new GuardedRedis(client, options);
    this.bodies = new GuardedRedis(client, { ...options, commandTimeoutMs: Math.max(options.commandTimeoutMs, BODY_TIMEOUT_MS) });
  }

  /** `fingerprint` is a digest of the canonical body; `leaseMs` the longest time that the request can take. */
  async begin(scope: IdempotencyScope, fingerprint: string, leaseMs: number): Promise<IdempotencyBegin> {
    const token = randomUUID();
    const key = entryKey(scope);
    const giveBack = (late: unknown) => this.giveBack(key, token, late as string[]);
    const atOnce = String(this.options.bodyBytesAtOnceMax ?? BODY_BYTES_AT_ONCE_MAX);
    const reply = (await this.redis.script(BEGIN, [key], [fingerprint, token, String(leaseMs), atOnce], giveBack)) as [string, ...(string | number)[]];
    switch (reply[0]) {
      case 'fresh':
        return { outcome: 'fresh', token };
      case 'replay':
        return { outcome: 'replay', answer: keptAnswer(reply) };
      case 'in_use':
        return { outcome: 'in_use', retryAfterMs: Math.max(0, Number(reply[1])) };
      default:
        return { outcome: 'reused' };
    }
  }

  /**
   * The body that `begin` left out; undefined when it is gone by now. Megabytes may take longer than other calls, and that they did
   * says nothing about Redis.
   */
  async readBody(scope: IdempotencyScope): Promise<string | undefined> {
    const key = entryKey(scope);
    return (await this.bodies.run(key, () => this.client.hget(key, 'b'))) ?? undefined;
  }

  /** Whether an answer with so long a body is kept. */
  keeps(bodyBytes: number): boolean {
    return bodyBytes <= (this.options.bodyBytesMax ?? BODY_BYTES_MAX);
  }

  /**
   * Stores a 2xx answer and frees the lock. False: not stored, because the lock was lost, or the body is longer than the
   * bound; in that case the key is free again.
   */
  async complete(scope: IdempotencyScope, token: string, answer: StoredAnswer): Promise<boolean> {
    if (!this.keeps(Buffer.byteLength(answer.body))) {
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

  /** Stops the background probes. The client belongs to its opener. */
  close(): void {
    this.redis.close();
    this.bodies.close();
  }
}

function keptAnswer([, status, contentType, bodyBytes, body]: readonly (string | number | undefined)[]): KeptAnswer {
  return { status: Number(status), contentType: String(contentType), bodyBytes: Number(bodyBytes), body: body === undefined ? undefined : String(body) };
}

function entryKey(scope: IdempotencyScope): string {
  const digest = createHash('sha256').update(`${scope.route}\0${scope.clientKey}`).digest('base64url');
  return idempotencyEntry(tenantKeys(scope.tenantId).base, scope.keyId, digest);
}
