import { keyDocumentSchema, type KeyDocument } from '@omg/contracts';
import { LRUCache } from 'lru-cache';

/** A virtual key, ready for the hot path. */
export interface KeyEntry {
  doc: KeyDocument;
  digests: readonly { digest: Buffer; validUntilMs: number }[];
}

export interface KeyCacheOptions {
  entriesMax: number;
  absentMax: number;
  /** How long "there is no such key" is believed without asking again. */
  absentTtlMs: number;
  lookupsInFlightMax: number;
}

/**
 * Keys on demand: memory does not grow with the number of keys. What does not exist is remembered apart, in a small cache of its
 * own, so that prefixes which somebody makes up push no key out. A key may change while it is looked up: the lookup then reads it
 * again, so that an older document never gets into the cache.
 */
export class KeyCache {
  private readonly entries: LRUCache<string, KeyEntry>;
  private readonly absent: LRUCache<string, true>;
  private readonly lookups = new Map<string, Promise<KeyEntry | undefined>>();
  private readonly changedDuringLookup = new Set<string>();

  constructor(
    /** Reads the key's document from the bucket; rejects when the bus is away. */
    private readonly fetch: (prefix: string) => Promise<string | undefined>,
    private readonly options: KeyCacheOptions,
  ) {
    this.entries = new LRUCache({ max: options.entriesMax });
    this.absent = new LRUCache({ max: options.absentMax, ttl: options.absentTtlMs });
  }

  /** The cached entry, synchronously. Null: there is no such key; undefined: `load` must be asked. */
  peek(prefix: string): KeyEntry | null | undefined {
    return this.entries.get(prefix) ?? (this.absent.get(prefix) ? null : undefined);
  }

  /** Undefined: no such key. Rejects when that cannot be known. Concurrent lookups of one prefix share one read. */
  async load(prefix: string): Promise<KeyEntry | undefined> {
    const cached = this.peek(prefix);
    if (cached !== undefined) return cached ?? undefined;
    let lookup = this.lookups.get(prefix);
    if (!lookup) {
      if (this.lookups.size >= this.options.lookupsInFlightMax) throw new Error('too many key lookups in flight');
      lookup = this.read(prefix).finally(() => {
        this.lookups.delete(prefix);
        this.changedDuringLookup.delete(prefix);
      });
      this.lookups.set(prefix, lookup);
    }
    return lookup;
  }

  /** The key changed or is gone: the next request reads it anew. */
  invalidate(prefix: string): void {
    this.entries.delete(prefix);
    this.absent.delete(prefix);
    if (this.lookups.has(prefix)) this.changedDuringLookup.add(prefix);
  }

  /** After a gap in the watch nothing cached can be trusted. */
  invalidateAll(): void {
    this.entries.clear();
    this.absent.clear();
    for (const prefix of this.lookups.keys()) this.changedDuringLookup.add(prefix);
  }

  private async read(prefix: string): Promise<KeyEntry | undefined> {
    for (let tries = 0; tries < 3; tries++) {
      this.changedDuringLookup.delete(prefix);
      const value = await this.fetch(prefix);
      if (this.changedDuringLookup.has(prefix)) continue;
      const entry = value === undefined ? undefined : toEntry(value);
      if (entry) this.entries.set(prefix, entry);
      else this.absent.set(prefix, true);
      return entry;
    }
    throw new Error('the key kept changing while it was read');
  }
}

function toEntry(value: string): KeyEntry {
  const doc = keyDocumentSchema.parse(JSON.parse(value));
  return {
    doc,
    digests: doc.digests.map((d) => ({ digest: Buffer.from(d.digest, 'base64'), validUntilMs: d.validUntilMs ?? Number.POSITIVE_INFINITY })),
  };
}
