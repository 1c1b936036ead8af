import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { run } from './run.ts';
import { runningStack } from './state.ts';
import { CommandError } from './terminal.ts';

/** What `./omg verify --help` adds; the program that verifies reads and checks them. */
export const VERIFY_HELP = [
  '--days n        recompute the costs of the last n days only; without it of all rows that are kept',
  '--wait seconds  how long running requests may take to end, and usage to be booked (10)',
  '--running       requests go on running: what they hold is no mismatch',
];

const STORES = ['ROUTER_DB_URL', 'ROUTER_REDIS_URL', 'ROUTER_NATS_URL'] as const;

/**
 * `./omg verify [--days N] [--wait SECONDS] [--running]`: checks the ledger of the stores in the environment, else of the
 * running stack. Prints each mismatch; exit code 1 when there is one.
 */
export async function verifyCommand(args: readonly string[]): Promise<number> {
  const stack: Record<string, string | undefined> = runningStack()?.env ?? {};
  const env: Record<string, string> = {};
  for (const name of STORES) {
    const value = process.env[name] || stack[name];
    if (value === undefined) throw new CommandError(`which ledger? Set ${STORES.join(', ')}, or start a stack: ./omg up --detach`);
    env[name] = value;
  }
  await prepare();
  const { exitCode, output } = await run(process.execPath, [join(ROOT, 'apps', 'usage-recorder', 'dist', 'verify.js'), ...args], { env });
  process.stdout.write(output);
  return exitCode;
}
