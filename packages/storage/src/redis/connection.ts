import { readFileSync } from 'node:fs';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { backoffMs } from '../backoff.js';
import { silentObserver, type ConnectionObserver } from '../connection-observer.js';
import { parseRedisUrl, type RedisTarget } from './redis-url.js';

export type RedisClient = Redis | Cluster;

export interface RedisSettings {
  url: string;
  /** A number above 0 replaces the URL's. */
  db?: number;
  commandTimeoutMs?: number;
  connectTimeoutMs?: number;
  /** PEM file of the certificate authority. */
  tlsCaFile?: string;
  /** Most connections of this process; 0 or absent: no limit. */
  poolSize?: number;
}

export interface RedisConnectionOptions {
  /** Shown in `CLIENT LIST`. */
  name: string;
  /**
   * - `request`: inside a request. Rejects at once while Redis is away and never sends a command again: a command that was
   *   given up must not take effect later.
   * - `guarded`: the same, for calls that all go through GuardedRedis: its one timer stands for a timer per command.
   * - `background`: waits in a queue while Redis is away, each command for at most the command timeout.
   * - `queue`: for BullMQ, which blocks on commands and repeats them for ever.
   */
  mode: 'request' | 'guarded' | 'background' | 'queue';
  /** Replaces the settings' command timeout. */
  commandTimeoutMs?: number;
  observer?: ConnectionObserver;
}

const COMMAND_TIMEOUT_MS = 2000;
const CONNECT_TIMEOUT_MS = 5000;
/** For the server's end of a closed connection. One that is closed while it is down leaves a timer as long behind, which holds the process. */
const DISCONNECT_TIMEOUT_MS = 200;

let openConnections = 0;

/** Opens a connection that reconnects for ever. Returns at once; readiness is the caller's `PING`. */
export function connectRedis(settings: RedisSettings, options: RedisConnectionOptions): RedisClient {
  const limit = settings.poolSize ?? 0;
  if (limit > 0 && openConnections >= limit)
    throw new Error(`redis.pool_size allows ${limit} connections in one process, and ${options.name} would be one more`);
  const target = parseRedisUrl(settings.url);
  const common = commonOptions(settings, options, target);
  const client = open(target, settings, common);
  openConnections += 1;
  client.once('end', () => (openConnections -= 1));
  observe(client, options.observer ?? silentObserver);
  return client;
}

function commonOptions(settings: RedisSettings, options: RedisConnectionOptions, target: RedisTarget): RedisOptions {
  const commandTimeout = options.commandTimeoutMs ?? settings.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  return {
    username: target.username,
    password: target.password,
    connectionName: `omg:${options.name}`,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    connectTimeout: settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    keepAlive: 30_000,
    noDelay: true,
    tls: target.tls ? { ...(settings.tlsCaFile ? { ca: readFileSync(settings.tlsCaFile) } : {}) } : undefined,
    retryStrategy: backoffMs,
    // A replica that took over answers READONLY on the old connection.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(options.mode === 'request' || options.mode === 'guarded'
      ? { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 }
      : {}),
    ...(options.mode === 'request' ? { commandTimeout } : {}),
    ...(options.mode === 'background' ? { commandTimeout, maxRetriesPerRequest: null } : {}),
    ...(options.mode === 'queue' ? { maxRetriesPerRequest: null } : {}),
  };
}

function open(target: RedisTarget, settings: RedisSettings, common: RedisOptions): RedisClient {
  const db = settings.db && settings.db > 0 ? settings.db : target.db;
  if (target.kind === 'cluster') {
    return new Cluster(target.nodes, {
      redisOptions: common,
      enableOfflineQueue: common.enableOfflineQueue ?? true,
      clusterRetryStrategy: backoffMs,
      // Managed clusters announce addresses that only their DNS names' certificates cover.
      dnsLookup: target.tls ? (address, callback) => callback(null, address) : undefined,
    });
  }
  if (target.kind === 'sentinel') {
    return new Redis({
      ...common,
      db,
      sentinels: target.nodes,
      name: target.masterName,
      sentinelPassword: target.sentinelPassword,
      sentinelTLS: common.tls,
      enableTLSForSentinelMode: target.tls,
      sentinelRetryStrategy: backoffMs,
    });
  }
  return new Redis({ ...common, db, ...target.nodes[0]! });
}

function observe(client: RedisClient, observer: ConnectionObserver): void {
  let isUp = false;
  let lastError: unknown;
  client.on('ready', () => {
    isUp = true;
    observer.onUp('redis');
  });
  // Each failed attempt emits one; only the loss is told, not every attempt.
  client.on('error', (error: unknown) => {
    lastError = error;
  });
  let isTold = false;
  client.on('ready', () => (isTold = false));
  client.on('close', () => {
    if (isTold) return;
    isTold = true;
    observer.onDown('redis', lastError ?? new Error(isUp ? 'connection closed' : 'not connected'));
    isUp = false;
  });
}

/** For a readiness check. */
export async function pingRedis(client: RedisClient): Promise<void> {
  if (client.status !== 'ready') throw new Error('connection closed');
  await client.ping();
}

/** Ends the connection without waiting for a server that is gone. */
export async function closeRedis(client: RedisClient): Promise<void> {
  if (client.status !== 'ready') return client.disconnect();
  await client.quit().catch(() => client.disconnect());
}
