import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { BUCKETS } from './buckets.js';
import { WRONG_REVISION, openKv } from './kv-bucket.js';

/**
 * The writing side of the KV bucket `config`. Every write is conditional on the revision that was read before the state
 * was read from Postgres: two projectors at once (one that lost its lease and does not know it yet) can therefore never
 * put an older document over a newer one.
 */

/** What lies under a key. Revision 0: nothing was ever there. `value` undefined: nothing or a delete marker. */
export interface ConfigEntry {
  revision: number;
  value: Buffer | undefined;
}

export interface StoredDocument {
  key: string;
  value: Buffer;
}

/** Somebody else wrote the key since it was read. */
export class RevisionConflictError extends Error {
  constructor(readonly key: string) {
    super('the document changed meanwhile');
    this.name = 'RevisionConflictError';
  }
}

export class ConfigBucket {
  private constructor(private readonly kv: KV) {}

  /** Creates the bucket when it is missing. Several processes may call it at once. */
  static async open(connection: NatsConnection, replicas: number): Promise<ConfigBucket> {
    return new ConfigBucket(await openKv(connection, BUCKETS.config, { replicas }));
  }

  async read(key: string): Promise<ConfigEntry> {
    const entry = await this.kv.get(key);
    if (!entry) return { revision: 0, value: undefined };
    return { revision: entry.revision, value: entry.operation === 'PUT' ? Buffer.from(entry.value) : undefined };
  }

  /** Throws a RevisionConflictError when the key is not at `revision` any more. */
  async write(key: string, value: Buffer, revision: number): Promise<void> {
    await conditional(key, () => this.kv.put(key, value, { previousSeq: revision }));
  }

  async remove(key: string, revision: number): Promise<void> {
    await conditional(key, () => this.kv.delete(key, { previousSeq: revision }));
  }

  /** All documents, one after the other, as they were when the call began. */
  async *all(): AsyncGenerator<StoredDocument> {
    const entries = await this.kv.history();
    for await (const entry of entries) if (entry.operation === 'PUT') yield { key: entry.key, value: Buffer.from(entry.value) };
  }
}

async function conditional(key: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if ((error as { code?: unknown }).code === WRONG_REVISION) throw new RevisionConflictError(key);
    throw error;
  }
}
