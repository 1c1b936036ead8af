import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isRunning, type ProcessIdentity } from './processes.ts';
import { ensureFolder, STATE_FILE } from './paths.ts';

export interface StackProcess {
  name: string;
  identity: ProcessIdentity;
}

/** What `./omg up` started, for `env`, `logs` and `down`. Written by the supervisor only. */
export interface StackState {
  runId: string;
  supervisor: ProcessIdentity;
  ready: boolean;
  /** In order of start; stopped in the opposite order. */
  processes: StackProcess[];
  /** Docker containers to remove should the supervisor have died. */
  containers: string[];
  /** The lines of `./omg env` but the process ids. */
  env: Record<string, string>;
}

/** Readers never meet half a file. */
function writeFresh(state: StackState): string {
  ensureFolder(dirname(STATE_FILE));
  const fresh = `${STATE_FILE}.${state.runId}`;
  writeFileSync(fresh, JSON.stringify(state, null, 2), { mode: 0o600 });
  return fresh;
}

/** The first writing of a run: of two that start at once only one gets the state. False: it is another's. */
export function claimState(state: StackState): boolean {
  const fresh = writeFresh(state);
  try {
    linkSync(fresh, STATE_FILE);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
}

export function writeState(state: StackState): void {
  renameSync(writeFresh(state), STATE_FILE);
}

export function readState(): StackState | undefined {
  if (!existsSync(STATE_FILE)) return undefined;
  return JSON.parse(readFileSync(STATE_FILE, 'utf8')) as StackState;
}

/** Leaves the state of any other run alone. */
export function removeState(runId: string): void {
  if (readState()?.runId === runId) rmSync(STATE_FILE, { force: true });
}

/** The state of a stack whose supervisor runs. */
export function runningStack(): StackState | undefined {
  const state = readState();
  return state !== undefined && isRunning(state.supervisor) ? state : undefined;
}
