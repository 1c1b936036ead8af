import { mkdirSync } from 'node:fs';
import { askPort, freePort } from '../ports.ts';
import { findBinary } from './binaries.ts';
import { launchService, logFileOf, type RunningService, type StartOptions } from './running-service.ts';

export interface RedisOptions extends StartOptions {
  /** False: nothing on disk. Default true (append-only file). */
  durable?: boolean;
  /** Further settings of the server, by their names in redis.conf. */
  settings?: Record<string, string>;
}

const READY_PROBE_MS = 500;

/** A private Redis on a loopback port: append-only file, nothing evicted, 256 databases. */
export async function startRedis(options: RedisOptions): Promise<RunningService> {
  const command = findBinary('redis-server') ?? findBinary('valkey-server');
  if (command === undefined) throw new Error('No redis-server on this machine. Debian: apt-get install redis-server. macOS: brew install redis');
  mkdirSync(options.dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const durable = options.durable === false ? 'no' : 'yes';
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: options.dataDir,
    save: '',
    appendonly: durable,
    'maxmemory-policy': 'noeviction',
    databases: '256',
    ...options.settings,
  };
  return launchService({
    name: 'redis',
    command,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    url: `redis://127.0.0.1:${port}`,
    port,
    logFile: logFileOf(options, 'redis'),
    stopSignal: 'SIGTERM',
    options,
    isReady: async () => (await askPort(port, 'PING\r\n', READY_PROBE_MS))?.startsWith('+PONG') ?? false,
  });
}
