import { signalProcess, identify, type ProcessIdentity } from '@omg/dev';

/**
 * What a test file opened is closed by `cleanUp()`, last opened first. Jest gives each test file its own module registry,
 * so this list is one file's. Processes are also killed when the worker exits, so that a crashed test leaves none.
 */
const closers: (() => Promise<void>)[] = [];
const processes: ProcessIdentity[] = [];
let hooked = false;

function killAll(): void {
  for (const identity of processes) signalProcess(identity, 'SIGKILL');
}

export function addCleanup(close: () => Promise<void>, pid?: number): void {
  closers.push(close);
  const identity = pid === undefined ? undefined : identify(pid);
  if (identity === undefined) return;
  processes.push(identity);
  if (!hooked) process.once('exit', killAll);
  hooked = true;
}

/** Call in `afterAll`: ends every server, service and database that this test file opened through the testkit. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  processes.length = 0;
  if (failures.length > 0) throw new AggregateError(failures, 'cleaning up after the test file failed');
}
