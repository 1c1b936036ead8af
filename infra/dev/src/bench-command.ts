import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { run } from './run.ts';
import { aptInstall, canAptInstall } from './services/apt.ts';
import { findBinary } from './services/binaries.ts';
import { CommandError, say } from './terminal.ts';

const FOLDER = join(ROOT, 'infra', 'bench', 'src');
const TOOLS: Record<string, string> = { wrk: 'wrk', nginx: 'nginx', taskset: 'util-linux', 'redis-server': 'redis-server', 'nats-server': 'nats-server' };

/** A benchmark is a file of infra/bench/src that starts itself; files that others import have no entry here. */
export const BENCHMARKS: readonly string[] = ['edge', 'peers', 'providers', 'governance', 'recorder', 'reports', 'streams'];

async function installTools(): Promise<void> {
  const missing = Object.keys(TOOLS).filter((name) => findBinary(name) === undefined);
  if (missing.length === 0) return;
  const packages = missing.map((name) => TOOLS[name]!);
  if (!canAptInstall()) throw new CommandError(`benchmarks need ${missing.join(', ')} (Debian packages: ${packages.join(', ')})`);
  await aptInstall(packages);
}

/** `./omg bench [name]`: runs one benchmark, or all of them, on a machine that should have nothing else to do. */
export async function benchCommand(args: readonly string[]): Promise<number> {
  const names = args.length > 0 ? args : BENCHMARKS;
  const unknown = names.find((name) => !BENCHMARKS.includes(name) || !existsSync(join(FOLDER, `${name}.ts`)));
  if (unknown !== undefined) throw new CommandError(`unknown benchmark "${unknown}"; there are: ${BENCHMARKS.join(', ')}`);
  await prepare();
  await installTools();
  for (const name of names) {
    say(`benchmark ${name}`);
    const result = await run(process.execPath, ['--disable-warning=ExperimentalWarning', join(FOLDER, `${name}.ts`)], { output: 'inherit' });
    if (result.exitCode !== 0) return result.exitCode;
  }
  return 0;
}
