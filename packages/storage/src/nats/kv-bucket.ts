import { jetstream } from '@nats-io/jetstream';
import { Kvm, type KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { NatsClient } from './connection.js';

export interface BucketSettings {
  name: string;
  /** Revisions kept per key. Default 1. */
  history?: number;
  /** Keys vanish this long after their last write. Default: never. */
  ttlMs?: number;
  /** Default: no limit. */
  bytesMax?: number;
}

export interface BucketEntry {
  value: string;
  revision: number;
}

/** The server's code for a conditional write that came too late. */
export const WRONG_REVISION = 10_071;

/**
 * A NATS key-value bucket as our services use it: texts, created when it is missing, usable before the server is there. Every call
 * rejects when NATS is away.
 */
export class KvBucket {
  private opened: { connection: NatsConnection; kv: Promise<KV> } | undefined;

  constructor(
    private readonly client: NatsClient,
    readonly settings: BucketSettings,
  ) {}

  async get(key: string): Promise<BucketEntry | undefined> {
    const entry = await (await this.open()).get(key);
    return entry && entry.operation === 'PUT' ? { value: entry.string(), revision: entry.revision } : undefined;
  }

  /** Resolves with the new revision. */
  async put(key: string, value: string): Promise<number> {
    return (await this.open()).put(key, value);
  }

  /** Undefined: the key exists. */
  async create(key: string, value: string): Promise<number | undefined> {
    const kv = await this.open();
    return undefinedIfTaken(kv.create(key, value));
  }

  /** Undefined: somebody else wrote since `revision`. */
  async update(key: string, value: string, revision: number): Promise<number | undefined> {
    const kv = await this.open();
    return undefinedIfTaken(kv.update(key, value, revision));
  }

  async delete(key: string): Promise<void> {
    await (await this.open()).delete(key);
  }

  /** Every live key that matches, with its value; for compares and small buckets. */
  async entries(filter = '>'): Promise<Map<string, BucketEntry>> {
    const kv = await this.open();
    const found = new Map<string, BucketEntry>();
    for await (const entry of await kv.history({ key: filter })) {
      if (entry.operation === 'PUT') found.set(entry.key, { value: entry.string(), revision: entry.revision });
      else found.delete(entry.key);
    }
    return found;
  }

  /** The revisions that the bucket still keeps of a key, oldest first; deletions are left out. */
  async history(key: string): Promise<{ value: string; revision: number; writtenAtMs: number }[]> {
    const kv = await this.open();
    const found: { value: string; revision: number; writtenAtMs: number }[] = [];
    for await (const entry of await kv.history({ key })) {
      if (entry.operation === 'PUT') found.push({ value: entry.string(), revision: entry.revision, writtenAtMs: entry.created.getTime() });
    }
    return found;
  }

  /** Creates the bucket when it is missing, or brings its limits up to date. */
  async ensure(): Promise<void> {
    await this.open();
  }

  private async open(): Promise<KV> {
    const connection = this.client.current;
    if (!connection || !this.client.isConnected) throw new Error('nats: connection closed');
    if (this.opened?.connection === connection) return this.opened.kv;
    const opened = { connection, kv: openKv(connection, this.settings, { replicas: this.client.replicas, timeoutMs: this.client.requestTimeoutMs }) };
    this.opened = opened;
    opened.kv.catch(() => {
      if (this.opened === opened) this.opened = undefined;
    });
    return opened.kv;
  }

  /** After a bucket was deleted under us: look again. */
  forget(): void {
    this.opened = undefined;
  }
}

/** Creates the bucket when it is missing, or brings its limits up to date. */
export async function openKv(connection: NatsConnection, settings: BucketSettings, options: { replicas: number; timeoutMs?: number }): Promise<KV> {
  const manager = new Kvm(jetstream(connection, options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }));
  return manager.create(settings.name, {
    history: settings.history ?? 1,
    replicas: options.replicas,
    ...(settings.ttlMs ? { ttl: settings.ttlMs } : {}),
    ...(settings.bytesMax ? { max_bytes: settings.bytesMax } : {}),
  });
}

async function undefinedIfTaken(write: Promise<number>): Promise<number | undefined> {
  try {
    return await write;
  } catch (error) {
    if ((error as { code?: unknown }).code === WRONG_REVISION) return undefined;
    throw error;
  }
}
