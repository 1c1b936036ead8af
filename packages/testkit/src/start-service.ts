import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, identify, isRunning, signalProcess, startProcess, stopProcess, waitForExit, type ProcessIdentity } from '@omg/dev';
import { addCleanup } from './cleanup.js';
import { temporaryFolder } from './temporary-folder.js';
import { repositoryRoot } from './repository.js';

export type AppName = 'edge-gateway' | 'admin-api' | 'usage-recorder' | 'health-monitor' | 'demo-provider';

export interface StartAppOptions {
  /** Where to wait before resolving; default `/readyz`. `null`: do not wait. */
  readyPath?: string | null;
  /** Working folder; default: an empty temporary one, so that no `.env` or `router.yaml` of the developer is read. */
  cwd?: string;
  /** Fixed port, to start a killed service again at its address; default: a free one. */
  port?: number;
}

export interface RunningApp {
  app: AppName;
  port: number;
  /** `http://127.0.0.1:<port>` */
  url: string;
  readonly pid: number;
  /** Every line of the process' output that was a JSON object, oldest first (the last 20 000). */
  logs: Record<string, unknown>[];
  /** Lines that were not JSON: a crash's stack, for instance. */
  rawOutput: string[];
  exited: Promise<string>;
  isRunning(): boolean;
  /** SIGTERM and wait for the end of the drain; SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL: the process vanishes. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** SIGSTOP: hangs with its sockets open. */
  pause(): void;
  resume(): void;
  /** After `stop` or `kill`: the same app with the same environment at the same address. */
  again(): Promise<RunningApp>;
}

const LOG_LINES_MAX = 20_000;
/** A busy machine starts several services at once. */
const READY_MS_MAX = 120_000;
const READY_POLL_MS = 25;
const PROBE_TIMEOUT_MS = 10_000;
const STOP_GRACE_MS = 60_000;

function collectOutput(stream: NodeJS.ReadableStream | null, logs: Record<string, unknown>[], rawOutput: string[]): void {
  if (stream === null) return;
  createInterface({ input: stream }).on('line', (line) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      parsed = undefined;
    }
    const target: unknown[] = typeof parsed === 'object' && parsed !== null ? logs : rawOutput;
    target.push(typeof parsed === 'object' && parsed !== null ? parsed : line);
    if (target.length > LOG_LINES_MAX) target.shift();
  });
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function outputTail(app: RunningApp): string {
  return [...app.logs.slice(-15).map((line) => JSON.stringify(line)), ...app.rawOutput.slice(-15)].join('\n');
}

async function waitUntilReady(running: RunningApp, path: string): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX;
  while (!(await answersOk(`${running.url}${path}`))) {
    if (running.isRunning() && Date.now() < deadline) {
      await delay(READY_POLL_MS);
      continue;
    }
    const why = running.isRunning() ? `not ready after ${READY_MS_MAX} ms` : `ended with ${await running.exited}`;
    await running.kill();
    throw new Error(`${running.app}: ${why}. Its output ends with:\n${outputTail(running)}`);
  }
}

/** The test runner's own switches do not belong into a service. */
function serviceEnvironment(env: Record<string, string>, port: number, cwd: string): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|JEST_|ROUTER_|PORT$)/.test(name)));
  return { ...inherited, NODE_ENV: 'production', ROUTER_METERING_SPOOL_DIRECTORY: join(cwd, 'spool'), ...env, PORT: String(port) };
}

/**
 * Starts a built service (`apps/<app>/dist/main.js`) as its own process and resolves when it is ready.
 * Nothing of the caller's ROUTER_* environment reaches it: `env` is its whole configuration.
 */
export async function startService(app: AppName, env: Record<string, string>, options: StartAppOptions = {}): Promise<RunningApp> {
  const main = join(repositoryRoot(), 'apps', app, 'dist', 'main.js');
  if (!existsSync(main)) throw new Error(`${main} is missing: build first (pnpm build)`);
  const port = options.port ?? (await freePort());
  const cwd = options.cwd ?? temporaryFolder();
  const started = await startProcess(process.execPath, ['--enable-source-maps', main], {
    cwd,
    env: serviceEnvironment(env, port, cwd),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const identity: ProcessIdentity = identify(started.identity.pid) ?? started.identity;
  // Its last lines may arrive after the news of its end.
  const outputEnded = new Promise((resolve) => started.child.once('close', resolve));
  let ended = false;
  void started.exited.then(() => (ended = true));
  const running: RunningApp = {
    app,
    port,
    url: `http://127.0.0.1:${port}`,
    pid: identity.pid,
    logs: [],
    rawOutput: [],
    exited: started.exited.then(async (how) => {
      await outputEnded;
      return how;
    }),
    isRunning: () => !ended && isRunning(identity),
    stop: (graceMs = STOP_GRACE_MS) => stopProcess(identity, 'SIGTERM', graceMs),
    kill: async () => {
      signalProcess(identity, 'SIGKILL');
      await waitForExit(identity, STOP_GRACE_MS);
    },
    signal: (signal) => void signalProcess(identity, signal),
    pause: () => void signalProcess(identity, 'SIGSTOP'),
    resume: () => void signalProcess(identity, 'SIGCONT'),
    again: () => startService(app, env, { ...options, port, cwd }),
  };
  collectOutput(started.child.stdout, running.logs, running.rawOutput);
  collectOutput(started.child.stderr, running.logs, running.rawOutput);
  addCleanup(async () => {
    running.resume();
    await running.kill();
  }, identity.pid);
  const readyPath = options.readyPath === undefined ? '/readyz' : options.readyPath;
  if (readyPath !== null) await waitUntilReady(running, readyPath);
  return running;
}
