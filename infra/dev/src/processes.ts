import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Processes are remembered by id AND start time: ids are reused, so an id alone could name somebody else's process.
 * Nothing in this package signals a process whose start time differs from the remembered one.
 */
export interface ProcessIdentity {
  pid: number;
  /** Opaque; equal only for the same process. */
  startTime: string;
}

/** Each process that a run of ./omg starts carries this variable, so that the run can find what it left behind. */
export const RUN_ID_VARIABLE = 'OMG_RUN_ID';

/** Undefined when no such process runs (a zombie counts as not running). */
export function processStartTime(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name is in parentheses and may hold spaces; fields count from its last parenthesis.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}

export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = processStartTime(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return processStartTime(identity.pid) === identity.startTime;
}

export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

const EXIT_POLL_MS = 20;

/** True when the process is gone within `timeoutMs`. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isRunning(identity)) {
    if (Date.now() >= deadline) return false;
    await delay(EXIT_POLL_MS);
  }
  return true;
}

/** Asks with `signal`, insists with SIGKILL after `graceMs`. */
export async function stopProcess(identity: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  signalProcess(identity, signal);
  if (await waitForExit(identity, graceMs)) return;
  signalProcess(identity, 'SIGKILL');
  await waitForExit(identity, graceMs);
}

/** Processes of this user (or, as root, of all) whose environment names the run. Linux only; elsewhere the list is empty. */
export function processesOfRun(runId: string): ProcessIdentity[] {
  if (process.platform !== 'linux') return [];
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0');
      if (!environment.includes(`${RUN_ID_VARIABLE}=${runId}`)) continue;
      const identity = identify(Number(entry));
      if (identity !== undefined) found.push(identity);
    } catch {
      // Gone in the meantime, or another user's: not ours to look at.
    }
  }
  return found;
}

export interface StartedProcess {
  child: ChildProcess;
  identity: ProcessIdentity;
  /** Settles once, with the exit code or the signal's name. */
  exited: Promise<string>;
}

/** Rejects when the program cannot be started at all. */
export async function startProcess(command: string, args: readonly string[], options: SpawnOptions): Promise<StartedProcess> {
  const child = spawn(command, [...args], options);
  const exited = new Promise<string>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`)));
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.on('error', () => undefined);
  const pid = child.pid!;
  return { child, identity: { pid, startTime: processStartTime(pid) ?? 'exited' }, exited };
}
