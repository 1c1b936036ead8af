import { ProviderError, type CancelSignal, type Transport, type TransportRequest, type TransportResponse } from '@omg/providers/spec';
import { buildConnector, Pool } from 'undici';
import { AddressGuard, instanceMetadataGuard, parseAllowlist } from './address-guard.js';
import { toProviderError } from './errors.js';
import { Exchange } from './exchange.js';
import { Slots } from './slots.js';

export interface TransportOptions {
  /** Most connections to one origin. */
  connections: number;
  /** Hosts, `*.suffix`, addresses and CIDR ranges that may be reached although they are private. */
  allowlist?: readonly string[];
  /** Requests that may wait for a connection of one origin; more are refused as `overloaded`. Default: four times `connections`. */
  waitingMax?: number;
  /** Default 5 000. */
  connectTimeoutMs?: number;
  /** How long an unused connection is kept; below the shortest keep-alive of common servers (5 s). Default 4 000. */
  keepAliveMs?: number;
  /** Origins with open pools; the one unused longest is closed for a new one. Default 256. */
  originsMax?: number;
  /** PEM of additional certificate authorities. */
  ca?: string | Buffer;
}

export interface OriginStats {
  origin: string;
  running: number;
  waiting: number;
  connected: number;
}

export interface UpstreamTransport extends Transport {
  stats(): OriginStats[];
  /** Closes idle connections at once and busy ones with their requests. */
  close(): Promise<void>;
}

interface Origin {
  pool: Pool;
  slots: Slots;
}

const CONNECT_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 4000;
const ORIGINS_MAX = 256;
const HEADER_BYTES_MAX = 64 * 1024;

/**
 * The sockets to providers: a bounded pool of keep-alive HTTP/1.1 connections per origin, one request at a time on each, guarded
 * addresses, no redirects, no proxies. Built on undici's dispatch, without web streams.
 */
export function createTransport(options: TransportOptions): UpstreamTransport {
  return new PooledTransport(options);
}

class PooledTransport implements UpstreamTransport {
  // Insertion order is the order of use: the first is the one unused longest.
  private readonly origins = new Map<string, Origin>();
  private readonly connector: buildConnector.connector;
  private readonly metadataConnector: buildConnector.connector;
  private readonly originsMax: number;
  private readonly waitingMax: number;
  private isClosed = false;

  constructor(private readonly options: TransportOptions) {
    this.connector = this.guarded(new AddressGuard(parseAllowlist(options.allowlist ?? [])));
    this.metadataConnector = this.guarded(instanceMetadataGuard());
    this.originsMax = options.originsMax ?? ORIGINS_MAX;
    this.waitingMax = options.waitingMax ?? options.connections * 4;
  }

  private guarded(guard: AddressGuard): buildConnector.connector {
    const { options } = this;
    const connect = buildConnector({
      allowH2: false,
      timeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      keepAlive: true,
      lookup: guard.lookup as never,
      ...(options.ca ? { ca: options.ca } : {}),
    } as buildConnector.BuildOptions);
    return (target, callback) => {
      try {
        guard.checkLiteral(target.hostname);
      } catch (error) {
        // Not within the caller's turn: undici does not expect an answer before it returned.
        return void setImmediate(() => callback(error as Error, null));
      }
      connect(target, callback);
    };
  }

  send(request: TransportRequest): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      if (request.signal.aborted) return reject(abortError(request.signal));
      if (this.isClosed) return reject(new ProviderError('network', { internal: 'the transport is closed' }));
      const target = parseTarget(request.url);
      if (!target) return reject(new ProviderError('network', { internal: 'not an http or https URL' }));
      const origin = this.originOf(target.origin, request.toInstanceMetadata === true);
      let isDispatched = false;
      const exchange = new Exchange(request, resolve, reject, () => {
        if (isDispatched) origin.slots.give();
        else leaveQueue?.();
      });
      const leaveQueue = origin.slots.take(() => {
        isDispatched = true;
        this.dispatch(origin.pool, target, request, exchange);
      });
      if (!leaveQueue)
        exchange.onResponseError(undefined as never, new ProviderError('overloaded', { internal: `all connections to ${target.origin} are busy` }));
    });
  }

  stats(): OriginStats[] {
    return [...this.origins].map(([origin, { pool, slots }]) => ({ origin, running: slots.running, waiting: slots.waiting, connected: pool.stats.connected }));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.origins.values()].map(({ pool }) => pool.destroy()));
    this.origins.clear();
  }

  private dispatch(pool: Pool, target: Target, request: TransportRequest, exchange: Exchange): void {
    try {
      pool.dispatch(
        {
          path: target.path,
          method: request.method,
          // Without it a proxy on the way may compress, which nobody here undoes.
          headers: { 'accept-encoding': 'identity', ...request.headers },
          body: request.body ?? null,
          // The exchange has its own, exact timers, which also count the wait for a connection.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        exchange,
      );
    } catch (error) {
      exchange.onResponseError(undefined as never, toProviderError(error));
    }
  }

  private originOf(name: string, isMetadata: boolean): Origin {
    // Connections that one guard let through are not for requests of the other.
    const key = isMetadata ? `metadata ${name}` : name;
    const found = this.origins.get(key);
    if (found) {
      if (this.origins.size > 1) {
        this.origins.delete(key);
        this.origins.set(key, found);
      }
      return found;
    }
    this.makeRoom();
    const { connections, keepAliveMs = KEEP_ALIVE_MS } = this.options;
    const origin: Origin = {
      pool: new Pool(name, {
        connections,
        pipelining: 1,
        allowH2: false,
        connect: isMetadata ? this.metadataConnector : this.connector,
        keepAliveTimeout: keepAliveMs,
        keepAliveMaxTimeout: Math.max(keepAliveMs, 60_000),
        maxHeaderSize: HEADER_BYTES_MAX,
      }),
      slots: new Slots(connections, this.waitingMax),
    };
    this.origins.set(key, origin);
    return origin;
  }

  private makeRoom(): void {
    if (this.origins.size < this.originsMax) return;
    for (const [name, { pool, slots }] of this.origins) {
      if (slots.running > 0) continue;
      this.origins.delete(name);
      void pool.destroy();
      return;
    }
  }
}

interface Target {
  origin: string;
  path: string;
}

function abortError({ reason }: CancelSignal): ProviderError {
  return reason instanceof ProviderError ? reason : new ProviderError('network', { internal: 'aborted by the caller', cause: reason });
}

/** Routes have few URLs, and parsing one costs more than looking it up. */
const parsed = new Map<string, Target | undefined>();
const PARSED_MAX = 1000;

function parseTarget(text: string): Target | undefined {
  const known = parsed.get(text);
  if (known) return known;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '') return undefined;
  const target = { origin: url.origin, path: url.pathname + url.search };
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(text, target);
  return target;
}
