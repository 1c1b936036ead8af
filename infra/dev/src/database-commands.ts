import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { mustRun } from './run.ts';
import { runningStack } from './state.ts';
import { CommandError } from './terminal.ts';

/** The address in the environment counts more than the running stack's. */
function databaseUrl(): string {
  const url = process.env['ROUTER_DB_URL'] || runningStack()?.env['ROUTER_DB_URL'];
  if (url === undefined) throw new CommandError('which database? Set ROUTER_DB_URL, or start a stack: ./omg up --detach');
  return url;
}

/** Applies the migrations; resolves with what was done, in words. */
export async function migrateDatabase(url: string): Promise<string> {
  const { output } = await mustRun('migrating', process.execPath, [join(ROOT, 'prisma', 'dist', 'cli.js')], { env: { ROUTER_DB_URL: url } });
  return output.trim();
}

/** `./omg migrate` */
export async function migrateCommand(): Promise<number> {
  const url = databaseUrl();
  await prepare();
  process.stdout.write(`${await migrateDatabase(url)}\n`);
  return 0;
}
