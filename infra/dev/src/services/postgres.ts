import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort } from '../ports.ts';
import { findPostgresFolder } from './binaries.ts';
import { launchService, type RunningService, type StartOptions } from './running-service.ts';

export interface PostgresOptions extends StartOptions {
  /** False: no fsync, for tests that never pull the plug. Default true. */
  durable?: boolean;
}

interface SystemUser {
  uid: number;
  gid: number;
}

/** Postgres refuses to run as root; then the `postgres` user runs it, or `nobody` where that one does not exist. */
function serverUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user here.
    }
  }
  throw new Error('Postgres does not run as root, and neither a user "postgres" nor "nobody" exists to run it');
}

/** Whether someone who is neither owner nor group of it can walk to the folder (a home folder of mode 0700 stops them). */
function reachableByAll(folder: string): boolean {
  const OTHERS_MAY_ENTER = 0o001;
  for (let path = dirname(folder); ; path = dirname(path)) {
    if ((statSync(path).mode & OTHERS_MAY_ENTER) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

/** Where the cluster lies: in the given folder, or, when the server's user cannot get there, in a folder of the same name's hash. */
function clusterFolder(dataDir: string, user: SystemUser | undefined): string {
  if (user === undefined || reachableByAll(dataDir)) return join(dataDir, 'cluster');
  const substitute = join('/var/tmp', `omg-postgres-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`);
  mkdirSync(substitute, { recursive: true, mode: 0o711 });
  chownSync(substitute, user.uid, user.gid);
  return join(substitute, 'cluster');
}

function initialise(folder: string, cluster: string, user: SystemUser | undefined): void {
  const args = ['-D', cluster, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
  try {
    execFileSync(join(folder, 'initdb'), args, { cwd: '/', stdio: 'pipe', ...user });
  } catch (error) {
    // A half-made cluster would be taken for a good one by the next start.
    rmSync(cluster, { recursive: true, force: true });
    const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new Error(`initdb could not make a database cluster in ${cluster}: ${text.trim()}`, { cause: error });
  }
}

/** A postmaster that starts after a crash removes the old file and writes its own: in between there is none. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** The server's own word: line 8 of its pid file. Line 1 tells this server from a killed one that left its file behind. */
function saysReady(pidFile: string, pid: number): boolean {
  const lines = readOrEmpty(pidFile).split('\n');
  return Number(lines[0]) === pid && (lines[7] ?? '').startsWith('ready');
}

/** A private Postgres of this machine's binaries on a loopback port, user `postgres`, no password. */
export async function startPostgres(options: PostgresOptions): Promise<RunningService> {
  const folder = findPostgresFolder();
  if (folder === undefined)
    throw new Error('No Postgres server on this machine (initdb and postgres). Debian: apt-get install postgresql. macOS: brew install postgresql@17');
  const user = serverUser();
  mkdirSync(options.dataDir, { recursive: true });
  const logFile = join(options.dataDir, 'postgres.log');
  writeFileSync(logFile, '', { flag: 'a' });
  const cluster = clusterFolder(options.dataDir, user);
  if (user !== undefined) {
    chmodSync(options.dataDir, 0o711);
    chownSync(options.dataDir, user.uid, user.gid);
  }
  if (!existsSync(join(cluster, 'PG_VERSION'))) initialise(folder, cluster, user);
  const port = options.port ?? (await freePort());
  const pidFile = join(cluster, 'postmaster.pid');
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=300', 'timezone=UTC', 'log_timezone=UTC'];
  // Commits stay synchronous: a killed process loses nothing that it has handed to the system, a deferred commit it would.
  if (options.durable === false) settings.push('fsync=off', 'full_page_writes=off');
  return launchService({
    name: 'postgres',
    command: join(folder, 'postgres'),
    args: ['-D', cluster, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    logFile,
    // SIGINT is Postgres' "fast" shutdown: it ends sessions instead of waiting for them.
    stopSignal: 'SIGINT',
    options,
    user,
    isReady: async (pid) => saysReady(pidFile, pid),
  });
}
