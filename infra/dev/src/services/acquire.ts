import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';
import { preferPort } from '../ports.ts';
import { CommandError, say } from '../terminal.ts';
import { aptInstall, canAptInstall } from './apt.ts';
import { findBinary, findPostgresFolder } from './binaries.ts';
import { dockerWorks, startInDocker } from './docker.ts';
import { startNats } from './nats.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';
import type { RunningService, StartOptions } from './running-service.ts';

export type ServiceName = RunningService['name'];

interface Need {
  name: ServiceName;
  /** Whoever sets it brings the service along. */
  variable: string;
  aptPackage: string;
  /** Taken when free. */
  defaultPort: number;
  hasBinary(): boolean;
  start(options: StartOptions & { durable: boolean }): Promise<RunningService>;
}

export const NEEDS: readonly Need[] = [
  {
    name: 'postgres',
    variable: 'ROUTER_DB_URL',
    aptPackage: 'postgresql',
    defaultPort: 15432,
    hasBinary: () => findPostgresFolder() !== undefined,
    start: startPostgres,
  },
  {
    name: 'redis',
    variable: 'ROUTER_REDIS_URL',
    aptPackage: 'redis-server',
    defaultPort: 16379,
    hasBinary: () => (findBinary('redis-server') ?? findBinary('valkey-server')) !== undefined,
    start: startRedis,
  },
  {
    name: 'nats',
    variable: 'ROUTER_NATS_URL',
    aptPackage: 'nats-server',
    defaultPort: 14222,
    hasBinary: () => findBinary('nats-server') !== undefined,
    start: startNats,
  },
];

/** Where a service comes from, in the order of preference. */
export type Source = { kind: 'environment'; url: string } | { kind: 'binaries' } | { kind: 'docker' } | { kind: 'apt' } | { kind: 'missing' };

export function sourceOf(need: Need): Source {
  const url = process.env[need.variable];
  if (url !== undefined && url !== '') return { kind: 'environment', url };
  if (need.hasBinary()) return { kind: 'binaries' };
  if (dockerWorks()) return { kind: 'docker' };
  if (canAptInstall()) return { kind: 'apt' };
  return { kind: 'missing' };
}

export function howToGet(need: Need): string {
  return `${need.name}: set ${need.variable}, or install it (Debian: sudo apt-get install ${need.aptPackage}; macOS: brew install ${need.name === 'nats' ? 'nats-server' : need.name === 'postgres' ? 'postgresql@17' : 'redis'}), or start Docker`;
}

/** Installs what apt can bring; afterwards every need has a source or the command ends with the ways out. */
async function resolveSources(): Promise<Map<Need, Source>> {
  const sources = new Map(NEEDS.map((need) => [need, sourceOf(need)]));
  const fromApt = NEEDS.filter((need) => sources.get(need)!.kind === 'apt');
  if (fromApt.length > 0) await aptInstall(fromApt.map((need) => need.aptPackage));
  for (const need of fromApt) sources.set(need, need.hasBinary() ? { kind: 'binaries' } : { kind: 'missing' });
  const missing = NEEDS.filter((need) => sources.get(need)!.kind === 'missing');
  if (missing.length > 0) throw new CommandError(`these services are missing:\n${missing.map((need) => `  ${howToGet(need)}`).join('\n')}`);
  return sources;
}

export interface AcquireOptions {
  /** Data of started instances goes below it. */
  folder: string;
  durable: boolean;
  env: NodeJS.ProcessEnv;
}

export interface AcquiredServices {
  urls: Record<ServiceName, string>;
  /** Only what was started here; an instance named by the environment is never in it. */
  started: RunningService[];
  containers: string[];
  /** Starts a service of ours again, at its address and with its data. */
  restart(name: ServiceName): Promise<RunningService>;
}

function containerName(folder: string, name: ServiceName): string {
  return `omg-${createHash('sha256').update(`${ROOT}:${folder}`).digest('hex').slice(0, 10)}-${name}`;
}

export async function acquireServices(options: AcquireOptions): Promise<AcquiredServices> {
  const sources = await resolveSources();
  const acquired: AcquiredServices = {
    urls: { postgres: '', redis: '', nats: '' },
    started: [],
    containers: [],
    restart: () => Promise.reject(new Error('not started here')),
  };
  const starters = new Map<ServiceName, (port: number) => Promise<RunningService>>();
  const begin = async (need: Need): Promise<void> => {
    const source = sources.get(need)!;
    if (source.kind === 'environment') {
      acquired.urls[need.name] = source.url;
      return;
    }
    const common = { dataDir: join(options.folder, need.name), durable: options.durable, env: options.env, ownProcessGroup: true };
    const container = containerName(options.folder, need.name);
    const start = (port: number): Promise<RunningService> =>
      source.kind === 'docker' ? startInDocker(need.name, { ...common, port, container }) : need.start({ ...common, port });
    starters.set(need.name, start);
    if (source.kind === 'docker') acquired.containers.push(container);
    const service = await start(await preferPort(need.defaultPort));
    acquired.started.push(service);
    acquired.urls[need.name] = service.url;
  };
  const results = await Promise.allSettled(NEEDS.map(begin));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) {
    await Promise.all(acquired.started.map((service) => service.stop()));
    throw failure.reason;
  }
  acquired.restart = async (name) => {
    const port = Number(new URL(acquired.urls[name]).port);
    say(`starting ${name} again`);
    return starters.get(name)!(port);
  };
  return acquired;
}
