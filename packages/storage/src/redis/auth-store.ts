import type { RedisClient } from './connection.js';

/** KEYS[1] counter, ARGV[1] life in ms: counts one attempt; the counter lives from its first attempt. */
const COUNT = `local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n`;
/** KEYS[1] counter: takes one attempt back, never bringing an expired counter to life. */
const FORGIVE = `if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('DECR', KEYS[1]) end return 0`;

const attemptsKey = (name: string): string => `omg:auth:attempts:${name}`;
const loginKey = (stateHash: string): string => `omg:auth:oidc:${stateHash}`;

/**
 * Short-lived state of the sign-in: counters of attempts and pending OIDC logins. Nothing here outlives an hour, and
 * losing it costs a user one more click.
 */
export class AuthStore {
  constructor(private readonly redis: RedisClient) {}

  /**
   * Counts one attempt for each name and answers the counts, this one included. Counting before the password is checked
   * keeps parallel guesses from passing the limit together.
   */
  async countAttempt(names: readonly string[], windowMs: number): Promise<number[]> {
    return Promise.all(names.map(async (name) => Number(await this.redis.eval(COUNT, 1, attemptsKey(name), windowMs))));
  }

  /** Milliseconds until the counter of a name starts anew. */
  async attemptWindowLeftMs(name: string): Promise<number> {
    return Math.max(0, await this.redis.pttl(attemptsKey(name)));
  }

  /** Takes the attempt of a login that succeeded back. */
  async forgiveAttempt(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.redis.eval(FORGIVE, 1, attemptsKey(name))));
  }

  async putLogin(stateHash: string, document: string, ttlMs: number): Promise<void> {
    await this.redis.set(loginKey(stateHash), document, 'PX', ttlMs);
  }

  /** Reads and deletes in one step, so that a state works once. */
  async takeLogin(stateHash: string): Promise<string | undefined> {
    return (await this.redis.getdel(loginKey(stateHash))) ?? undefined;
  }
}
