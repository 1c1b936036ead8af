import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { runningStack } from './state.ts';

/**
 * `./omg admin <task>`: daily tasks over the admin API, as its command line does them; `./omg admin help` lists them. The running
 * stack's address and demo login are used unless the environment names others.
 */
export async function adminCommand(args: readonly string[]): Promise<number> {
  await prepare();
  const env = { ...runningStack()?.env, ...process.env, OMG_ADMIN_NAME: './omg admin' };
  const child = spawn(process.execPath, [join(ROOT, 'packages', 'admin-client', 'dist', 'cli.js'), ...args], { cwd: ROOT, env, stdio: 'inherit' });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}
