import { randomUUID } from 'node:crypto';
import type { KvBucket } from './kv-bucket.js';

/**
 * One holder across replicas. The lease is a key in a bucket whose keys expire; the holder writes it again at a third of
 * that time, and gives itself up as soon as it cannot be sure any more, before another can take over.
 */
export interface LeaseOptions {
  /** In a bucket whose `ttlMs` is the length of the lease. */
  bucket: KvBucket;
  key: string;
  onGained: () => void;
  onLost: () => void;
  nowMs?: () => number;
}

export interface Lease {
  readonly isHeld: boolean;
  /** Gives the lease back. */
  close(): Promise<void>;
}

export function holdLease(options: LeaseOptions): Lease {
  return new KvLease(options);
}

class KvLease implements Lease {
  private readonly owner = randomUUID();
  private readonly leaseMs: number;
  private readonly nowMs: () => number;
  private revision: number | undefined;
  private heldUntilMs = 0;
  private isTelling = false;
  private isClosed = false;
  private timer: NodeJS.Timeout | undefined;
  private expiry: NodeJS.Timeout | undefined;

  constructor(private readonly options: LeaseOptions) {
    const { ttlMs } = options.bucket.settings;
    if (!ttlMs) throw new Error('a lease needs a bucket whose keys expire');
    this.leaseMs = ttlMs;
    this.nowMs = options.nowMs ?? (() => performance.now());
    void this.turn();
  }

  get isHeld(): boolean {
    return this.revision !== undefined && this.nowMs() < this.heldUntilMs;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    const { revision } = this;
    this.lose();
    if (revision !== undefined) await this.options.bucket.delete(this.options.key).catch(() => undefined);
  }

  private async turn(): Promise<void> {
    const { bucket, key } = this.options;
    const askedAtMs = this.nowMs();
    try {
      const revision = this.revision === undefined ? await bucket.create(key, this.owner) : await bucket.update(key, this.owner, this.revision);
      if (this.isClosed) return;
      if (revision === undefined) this.lose();
      else this.gain(revision, askedAtMs);
    } catch {
      // NATS is away: the lease runs out by itself.
      if (!this.isHeld) this.lose();
    }
    if (this.isClosed) return;
    this.timer = setTimeout(() => void this.turn(), (this.leaseMs / 3) * (0.8 + Math.random() * 0.2));
  }

  private gain(revision: number, askedAtMs: number): void {
    this.revision = revision;
    // Counted from before the request, and with a margin: we stop before the key expires at the server.
    this.heldUntilMs = askedAtMs + this.leaseMs * 0.9;
    clearTimeout(this.expiry);
    this.expiry = setTimeout(() => this.lose(), this.heldUntilMs - this.nowMs());
    if (this.isTelling) return;
    this.isTelling = true;
    this.options.onGained();
  }

  private lose(): void {
    this.revision = undefined;
    clearTimeout(this.expiry);
    if (!this.isTelling) return;
    this.isTelling = false;
    this.options.onLost();
  }
}
