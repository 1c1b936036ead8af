#!/usr/bin/env node
import { migrate } from './migrate.js';

/** `node prisma/dist/cli.js`: applies the migrations to ROUTER_DB_URL. Used by `./omg migrate` and by the chart's Job. */
async function main(): Promise<void> {
  const databaseUrl = process.env.ROUTER_DB_URL ?? process.env.ROUTER_DATABASE_URL;
  if (databaseUrl === undefined || databaseUrl === '') throw new Error('ROUTER_DB_URL is not set');
  const { applied } = await migrate({ databaseUrl });
  process.stdout.write(applied.length === 0 ? 'The database is up to date.\n' : `Applied ${applied.join(', ')}.\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`Migrating failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
