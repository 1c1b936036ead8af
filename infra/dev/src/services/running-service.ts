import { setTimeout as delay } from 'node:timers/promises';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpawnOptions } from 'node:child_process';
import { identify, signalProcess, startProcess, stopProcess, waitForExit, type ProcessIdentity, type StartedProcess } from '../processes.ts';

export interface RunningService {
  name: 'postgres' | 'redis' | 'nats';
  url: string;
  port: number;
  identity: ProcessIdentity;
  /** Settles when the process ends, for whatever reason. */
  exited: Promise<string>;
  /** An orderly end; data written so far stays on disk. */
  stop(): Promise<void>;
  /** SIGKILL: the machine lost power. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: the service hangs with its sockets open. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

export interface StartOptions {
  /** Private folder of this instance; made when missing, kept afterwards. A second start with it finds the data again. */
  dataDir: string;
  /** Loopback port; a free one is chosen when absent. */
  port?: number;
  /** Extra environment, for example the run's mark. */
  env?: NodeJS.ProcessEnv;
  /** Stay alive when the parent's terminal sends Ctrl-C: the parent stops services in its own order. */
  ownProcessGroup?: boolean;
}

const READY_TIMEOUT_MS = 120_000;
const READY_POLL_MS = 15;
const STOP_GRACE_MS = 30_000;

interface LaunchRequest {
  name: RunningService['name'];
  command: string;
  args: string[];
  url: string;
  port: number;
  logFile: string;
  stopSignal: NodeJS.Signals;
  options: StartOptions;
  user?: { uid: number; gid: number };
  isReady(pid: number): Promise<boolean>;
}

async function waitUntilReady(request: LaunchRequest, started: StartedProcess): Promise<void> {
  let ended: string | undefined;
  void started.exited.then((how) => (ended = how));
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await request.isReady(started.identity.pid))) {
    if (ended === undefined && Date.now() < deadline) {
      await delay(READY_POLL_MS);
      continue;
    }
    if (ended === undefined) await stopProcess(started.identity, 'SIGKILL', STOP_GRACE_MS);
    const log = readFileSync(request.logFile, 'utf8').slice(-2000);
    throw new Error(`${request.name} did not become ready on port ${request.port} (${ended ?? `waited ${READY_TIMEOUT_MS} ms`}). Its log ends with:\n${log}`);
  }
}

/** Starts a server program and resolves when it answers. */
export async function launchService(request: LaunchRequest): Promise<RunningService> {
  const log = openSync(request.logFile, 'a');
  const options: SpawnOptions = {
    // Not the data folder: the server may run as a user who cannot walk to it.
    cwd: '/',
    stdio: ['ignore', log, log],
    detached: request.options.ownProcessGroup ?? false,
    env: { ...process.env, ...request.options.env },
    ...request.user,
  };
  const started = await startProcess(request.command, request.args, options).finally(() => closeSync(log));
  await waitUntilReady(request, started);
  const identity = identify(started.identity.pid) ?? started.identity;
  return {
    name: request.name,
    url: request.url,
    port: request.port,
    identity,
    exited: started.exited,
    stop: () => stopProcess(identity, request.stopSignal, STOP_GRACE_MS),
    kill: async () => {
      signalProcess(identity, 'SIGKILL');
      await waitForExit(identity, STOP_GRACE_MS);
    },
    pause: () => void signalProcess(identity, 'SIGSTOP'),
    resume: () => void signalProcess(identity, 'SIGCONT'),
  };
}

export function logFileOf(options: StartOptions, name: string): string {
  return join(options.dataDir, `${name}.log`);
}
