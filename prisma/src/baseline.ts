import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMigrations } from './migrate.js';

/**
 * The schema that installations run: the migrations of the last release with their digests, and what may be taken away from
 * it since that release uses it no more. `node prisma/dist/baseline.js <version>` records a release.
 */
export interface Baseline {
  /** Null until there is a release: then the schema whose databases must go on working. */
  release: string | null;
  migrations: Record<string, string>;
  /** A line of `contractions` to the reason why the last release does not mind. */
  contract: Record<string, string>;
}

const FILE = join(import.meta.dirname, '..', 'baseline.json');

export function readBaseline(): Baseline {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Baseline;
}

/** Name to SHA-256 of each migration in the folder, in order. */
export function digestsOf(migrationsDir: string): Record<string, string> {
  return Object.fromEntries(
    readMigrations(migrationsDir).migrationDirectories.map(({ path, migrationFile: { content } }) => {
      if (content.tag !== 'ok') throw new Error(`the migration ${path} cannot be read`);
      return [path, createHash('sha256').update(content.value).digest('hex')];
    }),
  );
}

if (process.argv[1] === import.meta.filename) {
  const version = process.argv[2];
  if (version === undefined || !/^\d+\.\d+\.\d+$/.test(version)) throw new Error('usage: node prisma/dist/baseline.js <version>');
  const baseline: Baseline = { release: version, migrations: digestsOf(join(import.meta.dirname, '..', 'migrations')), contract: {} };
  writeFileSync(FILE, `${JSON.stringify(baseline, null, 2)}\n`);
}
