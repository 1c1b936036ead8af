import { processesOfRun, isRunning, stopProcess, waitForExit } from './processes.ts';
import { removeContainer } from './services/docker.ts';
import { readState, removeState, type StackState } from './state.ts';
import { say } from './terminal.ts';

/** The supervisor stops its children first: their drain deadline plus the stores' end. */
const SUPERVISOR_GRACE_MS = 45_000;
const CHILD_GRACE_MS = 15_000;

/** `./omg down`: stops what `up` started, and nothing else. Fine when nothing runs. */
export async function downCommand(): Promise<number> {
  const state = readState();
  if (state === undefined) {
    say('nothing is running');
    return 0;
  }
  await endStack(state);
  return 0;
}

/** Ends this stack, and not one that was started since its state was read. */
export async function endStack(state: StackState): Promise<void> {
  if (isRunning(state.supervisor)) {
    say('stopping');
    await stopProcess(state.supervisor, 'SIGTERM', SUPERVISOR_GRACE_MS);
    await waitForExit(state.supervisor, CHILD_GRACE_MS);
  }
  // After an orderly end nothing is left; after a killed supervisor, its children are.
  const leftovers = [...state.processes.map(({ identity }) => identity).reverse(), ...processesOfRun(state.runId)];
  for (const identity of leftovers) await stopProcess(identity, 'SIGTERM', CHILD_GRACE_MS);
  for (const container of state.containers) removeContainer(container);
  removeState(state.runId);
}
