import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { askPort, freePort } from '../ports.ts';
import { findBinary } from './binaries.ts';
import { launchService, logFileOf, type RunningService, type StartOptions } from './running-service.ts';

type ServiceName = RunningService['name'];

interface Recipe {
  image: string;
  containerPort: number;
  dataFolder: string;
  env: string[];
  command: string[];
  url(port: number): string;
  stopSignal: NodeJS.Signals;
  isReady(port: number): Promise<boolean>;
}

const PROBE_MS = 1_000;

/** The first message of Postgres' protocol (version 3.0). A server that takes sessions answers with an authentication message, "R". */
function postgresHello(): string {
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from('user\0postgres\0database\0postgres\0\0')]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]).toString('latin1');
}

const RECIPES: Record<ServiceName, Recipe> = {
  postgres: {
    image: 'postgres:17',
    containerPort: 5432,
    dataFolder: '/var/lib/postgresql/data',
    env: ['POSTGRES_HOST_AUTH_METHOD=trust'],
    command: ['-c', 'max_connections=300'],
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    stopSignal: 'SIGINT',
    isReady: async (port) => (await askPort(port, postgresHello(), PROBE_MS))?.startsWith('R') ?? false,
  },
  redis: {
    image: 'redis:7.4',
    containerPort: 6379,
    dataFolder: '/data',
    env: [],
    command: ['redis-server', '--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction', '--databases', '256'],
    url: (port) => `redis://127.0.0.1:${port}`,
    stopSignal: 'SIGTERM',
    isReady: async (port) => (await askPort(port, 'PING\r\n', PROBE_MS))?.startsWith('+PONG') ?? false,
  },
  nats: {
    image: 'nats:2.12.7',
    containerPort: 4222,
    dataFolder: '/data',
    env: [],
    command: ['-js', '-sd', '/data'],
    url: (port) => `nats://127.0.0.1:${port}`,
    stopSignal: 'SIGTERM',
    isReady: async (port) => (await askPort(port, '', PROBE_MS))?.startsWith('INFO ') ?? false,
  },
};

const DOCKER_ANSWER_MS = 10_000;

/** Whether a Docker engine answers, not merely its client. */
export function dockerWorks(): boolean {
  const docker = findBinary('docker');
  if (docker === undefined) return false;
  try {
    execFileSync(docker, ['info', '--format', '{{.ServerVersion}}'], { stdio: 'ignore', timeout: DOCKER_ANSWER_MS });
    return true;
  } catch {
    return false;
  }
}

/** The arguments of `docker run`: in the foreground, so that the client's process stands for the container's. */
export function dockerRunArguments(name: ServiceName, container: string, port: number, dataDir: string): string[] {
  const recipe = RECIPES[name];
  return [
    'run',
    '--rm',
    ...['--name', container],
    ...['--publish', `127.0.0.1:${port}:${recipe.containerPort}`],
    ...['--volume', `${dataDir}:${recipe.dataFolder}`],
    ...recipe.env.flatMap((pair) => ['--env', pair]),
    recipe.image,
    ...recipe.command,
  ];
}

export function removeContainer(container: string): void {
  const docker = findBinary('docker');
  if (docker === undefined) return;
  try {
    execFileSync(docker, ['rm', '--force', container], { stdio: 'ignore', timeout: DOCKER_ANSWER_MS });
  } catch {
    // It does not exist: nothing to remove.
  }
}

export interface DockerOptions extends StartOptions {
  /** The container's name; it is ours alone, so a leftover of that name is removed first. */
  container: string;
}

/** A private Postgres, Redis or NATS in a container, its data in `dataDir`, on a loopback port. */
export async function startInDocker(name: ServiceName, options: DockerOptions): Promise<RunningService> {
  mkdirSync(options.dataDir, { recursive: true });
  removeContainer(options.container);
  const recipe = RECIPES[name];
  const port = options.port ?? (await freePort());
  const service = await launchService({
    name,
    command: findBinary('docker')!,
    args: dockerRunArguments(name, options.container, port, options.dataDir),
    url: recipe.url(port),
    port,
    logFile: logFileOf(options, name),
    stopSignal: recipe.stopSignal,
    options,
    isReady: () => recipe.isReady(port),
  });
  const remove = (): void => removeContainer(options.container);
  return {
    ...service,
    stop: async () => {
      await service.stop();
      remove();
    },
    kill: async () => {
      remove();
      await service.kill();
    },
  };
}
