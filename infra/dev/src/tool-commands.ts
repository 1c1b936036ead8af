import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { runningStack } from './state.ts';

/**
 * Commands that are programs of the product, run against the running stack: its addresses and demo login are their
 * environment, unless the caller's environment names others.
 */
async function runTool(file: string, args: readonly string[]): Promise<number> {
  if (!existsSync(join(ROOT, file))) await prepare();
  const env = { ...runningStack()?.env, ...process.env };
  const child = spawn(process.execPath, [join(ROOT, file), ...args], { cwd: ROOT, env, stdio: 'inherit' });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

/** `./omg verify [--days N] [--wait SECONDS] [--running]`: compares rows, rollups, totals, costs, Redis and the audit chain. */
export function verifyCommand(args: readonly string[]): Promise<number> {
  return runTool(join('apps', 'usage-recorder', 'dist', 'verify.js'), args);
}

/** `./omg admin ...`: daily tasks over the admin API; `./omg admin help` lists them. */
export function adminCommand(args: readonly string[]): Promise<number> {
  return runTool(join('packages', 'admin-client', 'dist', 'cli.js'), args);
}
