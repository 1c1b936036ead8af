import { DeliverPolicy, jetstream, type JsMsg, type PushConsumer } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { NatsClient } from './connection.js';
import type { KvBucket } from './kv-bucket.js';

/**
 * Keeps a process up to date with a key-value bucket.
 *
 * A session begins at the start, after every reconnect and whenever its consumers turn out to be lost: it reads the present
 * state of all watched keys as one snapshot, and then follows the changes. Because every session begins with everything,
 * nothing that was written or deleted in between can be missed. Between sessions the last state stays; `onStale` tells
 * that it may be old, `onFresh` that it is current again.
 *
 * Keys of which there are too many to hold are watched by name only: a session begins with `onNamesLost` (whatever is cached
 * may be old), and then each changed name is told.
 */
export interface KvWatchOptions {
  /** Patterns such as `tenant.>` whose values are kept. */
  keys: readonly string[];
  /** Patterns whose values are not kept. */
  names?: readonly string[];
  /** The whole state of `keys`; replaces all that was told before. */
  onSnapshot(entries: ReadonlyMap<string, string>): void;
  /** `undefined`: deleted. */
  onChange(key: string, value: string | undefined): void;
  onNamesLost?(): void;
  onNameChange?(key: string): void;
  onStale?(): void;
  onFresh?(): void;
  /** A session could not be begun, or a callback threw. */
  onError?(error: unknown): void;
  /** How often the server is asked whether the session still lives. Default 5 000. */
  verifyEveryMs?: number;
}

export interface KvWatch {
  /** Resolves with the first snapshot. */
  ready: Promise<void>;
  readonly isFresh: boolean;
  close(): void;
}

const VERIFY_EVERY_MS = 5000;
const RETRY_MS = 500;
/** Unmoved while messages wait, for as many looks: the delivery is stuck. */
const STUCK_LOOKS = 2;

export function watchKv(client: NatsClient, bucket: KvBucket, options: KvWatchOptions): KvWatch {
  return new Watch(client, bucket, options);
}

class Watch implements KvWatch {
  isFresh = false;
  readonly ready: Promise<void>;
  private markReady!: () => void;
  private session: Session | undefined;
  private isClosed = false;
  private isVerifying = false;
  private retry: NodeJS.Timeout | undefined;
  private readonly verifyTimer: NodeJS.Timeout;
  private readonly endListening: (() => void)[];

  constructor(
    private readonly client: NatsClient,
    private readonly bucket: KvBucket,
    private readonly options: KvWatchOptions,
  ) {
    this.ready = new Promise((resolve) => (this.markReady = resolve));
    this.endListening = [client.onUp(() => this.begin()), client.onDown(() => this.setFresh(false))];
    this.verifyTimer = setInterval(() => void this.verify(), options.verifyEveryMs ?? VERIFY_EVERY_MS);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.retry);
    clearInterval(this.verifyTimer);
    for (const end of this.endListening) end();
    this.session?.stop();
  }

  private begin(): void {
    this.session?.stop();
    clearTimeout(this.retry);
    const connection = this.client.current;
    if (this.isClosed || !connection || !this.client.isConnected) return;
    const session = new Session(this.bucket.settings.name, this.options, () => {
      if (this.session !== session) return;
      this.setFresh(true);
      this.markReady();
    });
    this.session = session;
    this.bucket
      .ensure()
      .then(() => session.start(connection, this.client.requestTimeoutMs))
      .catch((error: unknown) => this.restart(session, error));
  }

  private restart(session: Session, error: unknown): void {
    if (this.session !== session || this.isClosed) return;
    this.options.onError?.(error);
    this.setFresh(false);
    session.stop();
    this.bucket.forget();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.begin(), RETRY_MS);
  }

  private async verify(): Promise<void> {
    const { session } = this;
    // One look at a time: answers of a server that was held up come all at once, and would count as looks that are apart.
    if (this.isVerifying || !session?.isCurrent || !this.client.isConnected) return;
    this.isVerifying = true;
    try {
      await session.verify();
      if (this.session === session && session.isCurrent) this.setFresh(true);
    } catch (error) {
      this.restart(session, error);
    } finally {
      this.isVerifying = false;
    }
  }

  private setFresh(isFresh: boolean): void {
    if (this.isFresh === isFresh || this.isClosed) return;
    this.isFresh = isFresh;
    if (isFresh) this.options.onFresh?.();
    else this.options.onStale?.();
  }
}

interface Feed {
  consumer: PushConsumer;
  stop: () => void;
  received: number;
  receivedAtLook: number;
  stuckLooks: number;
}

class Session {
  /** The snapshot was delivered, and the session was not stopped. */
  isCurrent = false;
  private isStopped = false;
  private feeds: Feed[] = [];
  private snapshot: Map<string, string> | undefined = new Map();
  private pendingInitial = 0;

  constructor(
    private readonly bucketName: string,
    private readonly options: KvWatchOptions,
    private readonly onCurrent: () => void,
  ) {}

  async start(connection: NatsConnection, timeoutMs: number): Promise<void> {
    const { keys, names = [] } = this.options;
    // From here on no change of a name is missed, so what was cached before is dropped after it.
    for (const name of names) await this.follow(connection, timeoutMs, name, false);
    if (this.isStopped) return;
    if (names.length > 0) this.guard(() => this.options.onNamesLost?.());
    this.pendingInitial = keys.length;
    for (const key of keys) await this.follow(connection, timeoutMs, key, true);
    this.deliverSnapshot();
  }

  stop(): void {
    this.isStopped = true;
    this.isCurrent = false;
    for (const feed of this.feeds) feed.stop();
    this.feeds = [];
  }

  /** Rejects when a consumer is gone or does not deliver what waits. */
  async verify(): Promise<void> {
    for (const feed of this.feeds) {
      const info = await feed.consumer.info();
      const isStuck = info.num_pending > 0 && feed.received === feed.receivedAtLook;
      feed.receivedAtLook = feed.received;
      feed.stuckLooks = isStuck ? feed.stuckLooks + 1 : 0;
      if (feed.stuckLooks >= STUCK_LOOKS) throw new Error('the watch does not deliver');
    }
  }

  private async follow(connection: NatsConnection, timeoutMs: number, pattern: string, withValues: boolean): Promise<void> {
    if (this.isStopped) return;
    const stream = `KV_${this.bucketName}`;
    const prefix = `$KV.${this.bucketName}.`;
    const js = jetstream(connection, { timeout: timeoutMs });
    const consumer = await js.consumers.getPushConsumer(stream, {
      deliver_policy: withValues ? DeliverPolicy.LastPerSubject : DeliverPolicy.New,
      filter_subjects: prefix + pattern,
      headers_only: !withValues,
    });
    let isInitial = withValues && (await consumer.info(true)).num_pending > 0;
    if (withValues && !isInitial) this.pendingInitial -= 1;
    const feed: Feed = { consumer, stop: () => undefined, received: 0, receivedAtLook: 0, stuckLooks: 0 };
    const messages = await consumer.consume({
      callback: (message) => {
        feed.received += 1;
        if (this.isStopped) return;
        const key = message.subject.slice(prefix.length);
        if (!withValues) return this.guard(() => this.options.onNameChange?.(key));
        this.apply(key, valueOf(message));
        if (isInitial && message.info.pending === 0) {
          isInitial = false;
          this.pendingInitial -= 1;
          this.deliverSnapshot();
        }
      },
    });
    feed.stop = () => messages.stop();
    if (this.isStopped) feed.stop();
    else this.feeds.push(feed);
  }

  private apply(key: string, value: string | undefined): void {
    if (!this.snapshot) return this.guard(() => this.options.onChange(key, value));
    if (value === undefined) this.snapshot.delete(key);
    else this.snapshot.set(key, value);
  }

  private deliverSnapshot(): void {
    // All feeds must be there first: the last one may be about to bring its own initial values.
    if (this.isStopped || !this.snapshot || this.pendingInitial > 0 || this.feeds.length < this.options.keys.length + (this.options.names?.length ?? 0)) return;
    const { snapshot } = this;
    this.snapshot = undefined;
    this.isCurrent = true;
    this.guard(() => this.options.onSnapshot(snapshot));
    this.onCurrent();
  }

  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.options.onError?.(error);
    }
  }
}

function valueOf(message: JsMsg): string | undefined {
  const operation = message.headers?.get('KV-Operation');
  return operation === 'DEL' || operation === 'PURGE' ? undefined : message.string();
}
