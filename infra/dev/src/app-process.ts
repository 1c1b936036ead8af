import { closeSync, existsSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureFolder, LOG_FOLDER, ROOT } from './paths.ts';
import { startProcess, type StartedProcess } from './processes.ts';
import { CommandError } from './terminal.ts';

const LOG_BYTES_MAX = 64 * 1024 * 1024;
const READY_POLL_MS = 50;
const PROBE_TIMEOUT_MS = 3_000;

export function logFileOfApp(name: string): string {
  return join(LOG_FOLDER, `${name}.log`);
}

/** Starts a built app with its output in .omg/log/<name>.log, out of reach of the terminal's Ctrl-C. */
export async function startApp(name: string, env: NodeJS.ProcessEnv): Promise<StartedProcess> {
  const main = join(ROOT, 'apps', name, 'dist', 'main.js');
  if (!existsSync(main)) throw new CommandError(`${name} is not built: ${main} is missing`);
  ensureFolder(LOG_FOLDER);
  const logFile = logFileOfApp(name);
  if (existsSync(logFile) && statSync(logFile).size > LOG_BYTES_MAX) truncateSync(logFile);
  const log = openSync(logFile, 'a');
  try {
    return await startProcess(process.execPath, ['--enable-source-maps', main], { cwd: ROOT, env, stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

export async function answersOk(url: string, headers: Record<string, string> = {}): Promise<string | undefined> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    const body = await response.text();
    return response.ok ? body : undefined;
  } catch {
    return undefined;
  }
}

function logTail(name: string): string {
  const file = logFileOfApp(name);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-15).join('\n') : '';
}

/** Resolves when `probe` is satisfied; rejects when the time is over or the process ended, with the end of its log. */
export async function waitForApp(name: string, started: { exited: Promise<string> }, probe: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  let ended: string | undefined;
  void started.exited.then((how) => (ended = how));
  const deadline = Date.now() + timeoutMs;
  while (!(await probe())) {
    if (ended !== undefined) throw new CommandError(`${name} ended (${ended}). The end of its log:\n${logTail(name)}`);
    if (Date.now() > deadline) throw new CommandError(`${name} was not ready after ${timeoutMs / 1000} s. The end of its log:\n${logTail(name)}`);
    await delay(READY_POLL_MS);
  }
}
