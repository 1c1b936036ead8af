import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startNats as launchNats,
  startPostgres as launchPostgres,
  startRedis as launchRedis,
  type PostgresOptions,
  type RedisOptions,
  type RunningService,
  type StartOptions,
} from '@omg/dev';
import { addCleanup } from './cleanup.js';

/** Addresses of the services that `./omg test` (or a developer) runs for all test files together. */
export interface ServiceAddresses {
  databaseUrl: string;
  redisUrl: string;
  natsUrl: string;
}

function required(variable: string): string {
  const value = process.env[variable];
  if (value !== undefined && value !== '') return value;
  throw new Error(`${variable} is not set: this test needs real services. Run ./omg test, or set ROUTER_DB_URL, ROUTER_REDIS_URL and ROUTER_NATS_URL`);
}

/** The shared services' addresses; throws when one is missing, since a test that skips itself proves nothing. */
export function attachServices(): ServiceAddresses {
  return { databaseUrl: required('ROUTER_DB_URL'), redisUrl: required('ROUTER_REDIS_URL'), natsUrl: required('ROUTER_NATS_URL') };
}

type Own<T extends StartOptions> = Partial<T>;

export interface OwnService extends RunningService {
  /** After `stop` or `kill`: the same server with its data at the same address. */
  again(): Promise<OwnService>;
}

/** A service in a temporary folder that belongs to the calling test file: it may be killed, paused and started again. */
async function own<T extends StartOptions>(launch: (options: T) => Promise<RunningService>, options: Own<T>): Promise<OwnService> {
  const temporary = options.dataDir === undefined;
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'omg-test-'));
  const start = async (port: number | undefined, removeFolder: boolean): Promise<OwnService> => {
    const service = await launch({ ...options, dataDir, port } as T);
    addCleanup(async () => {
      service.resume();
      await service.kill();
      if (removeFolder) rmSync(dataDir, { recursive: true, force: true });
    }, service.identity.pid);
    return { ...service, again: () => start(service.port, false) };
  };
  return start(options.port, temporary);
}

/**
 * An own Postgres server for tests that kill it.
 * Not durable unless asked for: `kill()` is a crash of the process, not of the machine.
 */
export function startPostgres(options: Own<PostgresOptions> = {}): Promise<OwnService> {
  return own(launchPostgres, { durable: false, ...options });
}

/** An own Redis server (append-only file on, as in production, unless `durable: false`). */
export function startRedis(options: Own<RedisOptions> = {}): Promise<OwnService> {
  return own(launchRedis, options);
}

/** An own NATS server with JetStream. Streams and buckets have fixed names, so a test file that uses them takes its own server (some 50 ms). */
export function startNats(options: Own<StartOptions> = {}): Promise<OwnService> {
  return own(launchNats, options);
}
