import { readFileSync } from 'node:fs';
import { connect, credsAuthenticator, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { backoffMs } from '../backoff.js';
import { silentObserver, type ConnectionObserver } from '../connection-observer.js';

export interface NatsSettings {
  /** One or more URLs, separated by commas. */
  url: string;
  token?: string;
  credsFile?: string;
  tlsCaFile?: string;
  tlsCertFile?: string;
  tlsKeyFile?: string;
  requestTimeoutMs?: number;
  /** Copies of streams and buckets. */
  replicas?: number;
}

export interface NatsOptions {
  /** Shown by the server's monitoring. */
  name: string;
  observer?: ConnectionObserver;
}

type Listener = (connection: NatsConnection) => void;

const PING_INTERVAL_MS = 5000;

/**
 * A connection to NATS that begins to exist when the server does, and comes back for ever after. Nothing waits for it at
 * the start: `current` is undefined until it is there.
 */
export class NatsClient {
  current: NatsConnection | undefined;
  readonly requestTimeoutMs: number;
  readonly replicas: number;
  private readonly upListeners = new Set<Listener>();
  private readonly downListeners = new Set<() => void>();
  private readonly observer: ConnectionObserver;
  private readonly closing = new AbortController();
  private isClosed = false;
  private isUp = false;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: NatsSettings,
    private readonly options: NatsOptions,
  ) {
    this.observer = options.observer ?? silentObserver;
    this.requestTimeoutMs = settings.requestTimeoutMs ?? 5000;
    this.replicas = settings.replicas ?? 1;
    void this.open(0);
  }

  /** Whether a message can be sent right now. */
  get isConnected(): boolean {
    return this.isUp;
  }

  /**
   * Runs now, if connected, and after each (re)connect. Returns a function that ends it. A listener that throws is told to the
   * observer; the others and the connection go on.
   */
  onUp(listener: Listener): () => void {
    this.upListeners.add(listener);
    const { current } = this;
    if (this.isUp && current) this.tell(() => listener(current));
    return () => this.upListeners.delete(listener);
  }

  onDown(listener: () => void): () => void {
    this.downListeners.add(listener);
    return () => this.downListeners.delete(listener);
  }

  /** Resolves with the connection as soon as there is one; rejects when the client is closed or the signal aborts first. */
  connected(signal?: AbortSignal): Promise<NatsConnection> {
    if (this.isUp && this.current) return Promise.resolve(this.current);
    return new Promise((resolve, reject) => {
      const stopped = signal ? AbortSignal.any([signal, this.closing.signal]) : this.closing.signal;
      const abort = () => {
        end();
        reject(new Error('connection closed'));
      };
      const end = this.onUp((connection) => {
        stopped.removeEventListener('abort', abort);
        end();
        resolve(connection);
      });
      if (stopped.aborted) abort();
      else stopped.addEventListener('abort', abort, { once: true });
    });
  }

  /** For a readiness check: a round trip to the server. */
  async ping(): Promise<void> {
    if (!this.isUp || !this.current) throw new Error('connection closed');
    await this.current.rtt();
  }

  /** Flushes what was published and closes. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.closing.abort();
    clearTimeout(this.retry);
    const connection = this.current;
    if (!connection || connection.isClosed()) return;
    if (!this.isUp) return connection.close();
    // A server that goes away meanwhile leaves nothing to drain.
    await connection.drain().catch(() => connection.close());
  }

  private async open(attempt: number): Promise<void> {
    try {
      const connection = await connect(connectOptions(this.settings, this.options.name));
      if (this.isClosed) return void (await connection.close());
      this.current = connection;
      this.up(connection);
      void this.follow(connection);
    } catch (error) {
      if (attempt === 0) this.observer.onDown('nats', error);
      if (this.isClosed) return;
      this.retry = setTimeout(() => void this.open(attempt + 1), backoffMs(attempt));
    }
  }

  private async follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') this.down(new Error('connection closed'));
      else if (status.type === 'reconnect') this.up(connection);
    }
    if (this.isClosed) return;
    // The client gave up for good (such as an account that was removed): begin anew.
    this.down((await connection.closed()) ?? new Error('connection closed'));
    this.current = undefined;
    this.retry = setTimeout(() => void this.open(1), backoffMs(4));
  }

  private up(connection: NatsConnection): void {
    if (this.isUp) return;
    this.isUp = true;
    this.observer.onUp('nats');
    for (const listener of [...this.upListeners]) this.tell(() => listener(connection));
  }

  private down(error: unknown): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.observer.onDown('nats', error);
    for (const listener of [...this.downListeners]) this.tell(listener);
  }

  private tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.observer.onListenerError('nats', error);
    }
  }
}

/** Starts to connect; returns at once. */
export function connectNats(settings: NatsSettings, options: NatsOptions): NatsClient {
  return new NatsClient(settings, options);
}

function connectOptions(settings: NatsSettings, name: string): NodeConnectionOptions {
  const urls = settings.url.split(',').map((url) => new URL(url.trim()));
  const first = urls[0]!;
  const wantsTls = settings.tlsCaFile || settings.tlsCertFile || urls.some((url) => url.protocol === 'tls:');
  return {
    name: `omg:${name}`,
    servers: urls.map((url) => url.host),
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => backoffMs(4),
    // A server that restarts with its accounts not loaded yet must not end the client.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    timeout: 5000,
    // A stack trace per request, made in case it fails, is a visible part of what a batch costs.
    noAsyncTraces: true,
    ...(first.username ? { user: decodeURIComponent(first.username), pass: decodeURIComponent(first.password) } : {}),
    ...(settings.token ? { token: settings.token } : {}),
    ...(settings.credsFile ? { authenticator: credsAuthenticator(readFileSync(settings.credsFile)) } : {}),
    ...(wantsTls
      ? { tls: { caFile: settings.tlsCaFile || undefined, certFile: settings.tlsCertFile || undefined, keyFile: settings.tlsKeyFile || undefined } }
      : {}),
  };
}
