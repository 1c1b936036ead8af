import { Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import { AuthStore } from '@omg/storage';
import { createHash } from 'node:crypto';

const WINDOW_MS = 15 * 60_000;
/** Per account from one address, per account from anywhere, per address for any account. */
const LIMITS = [5, 50, 100] as const;
/** While Redis is away each process counts for itself, for this many names at most. */
const FALLBACK_NAMES_MAX = 10_000;

/** Slows guessing of passwords. Names in Redis are hashed: the store is no list of accounts. */
@Injectable()
export class LoginThrottle {
  private readonly fallback = new Map<string, { count: number; untilMs: number }>();

  constructor(private readonly store: AuthStore) {}

  /** Counts an attempt; throws 429 once there were too many. */
  async admit(email: string, address: string): Promise<void> {
    const names = this.names(email, address);
    const counts = await this.store.countAttempt(names, WINDOW_MS).catch(() => names.map((name) => this.countHere(name)));
    const over = counts.findIndex((count, index) => count > LIMITS[index]!);
    if (over < 0) return;
    const leftMs = await this.store.attemptWindowLeftMs(names[over]!).catch(() => WINDOW_MS);
    throw new AdminError('too_many_attempts', { retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) });
  }

  /** A good login was no guess. */
  async forgive(email: string, address: string): Promise<void> {
    const names = this.names(email, address);
    // One attempt only: an own account must not wipe out what its address has guessed at others.
    for (const name of names) this.forgiveHere(name);
    await this.store.forgiveAttempt(names).catch(() => undefined);
  }

  private names(email: string, address: string): string[] {
    const hash = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);
    return [`pair:${hash(`${email}\n${address}`)}`, `mail:${hash(email)}`, `address:${hash(address)}`];
  }

  private forgiveHere(name: string): void {
    const entry = this.fallback.get(name);
    if (entry) entry.count--;
  }

  private countHere(name: string): number {
    const nowMs = Date.now();
    const known = this.fallback.get(name);
    const entry = known && known.untilMs > nowMs ? known : { count: 0, untilMs: nowMs + WINDOW_MS };
    entry.count++;
    if (!known && this.fallback.size >= FALLBACK_NAMES_MAX) this.fallback.delete(this.fallback.keys().next().value!);
    this.fallback.set(name, entry);
    return entry.count;
  }
}
