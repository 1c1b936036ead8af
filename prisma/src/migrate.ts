import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationList, SchemaFilter } from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { withSchemaEngine, type SchemaFile } from './schema-engine.js';

/**
 * Applies prisma/migrations offline, with Prisma's engine and its `_prisma_migrations` table. Any number of replicas may
 * call `migrate` at once: they take turns under an advisory lock, and whoever comes second finds nothing to do.
 *
 * Every migration is one transaction. One that failed or whose process was killed therefore left nothing behind but its
 * unfinished row in `_prisma_migrations`; that row is marked as rolled back and the migration is tried again.
 */
export interface MigrateOptions {
  databaseUrl: string;
  /** Folder with the migrations; default: the one of this package. */
  migrationsDir?: string;
  /** Longest wait for another replica that is migrating. */
  lockTimeoutMs?: number;
  /** Months of partitions to have ready, counted from this one. */
  partitionMonthsAhead?: number;
}

export interface MigrateResult {
  /** Names of the migrations that this call applied, in order. */
  applied: string[];
}

const PACKAGE_DIR = join(import.meta.dirname, '..');
/**
 * First key of the product's advisory locks ('omg'); the second names the purpose (`ADVISORY_LOCKS` of packages/database has them all).
 * This one must be nobody else's: it is held while migrations run, and they run on a connection of their own.
 */
const LOCK_SPACE = 0x6f6d67;
const LOCK_MIGRATE = 6;
const NO_FILTER: SchemaFilter = { externalTables: [], externalEnums: [] };

/** Throws with Prisma's text when a migration fails or the applied history does not match the files. */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const lock = new pg.Client({ connectionString: options.databaseUrl, application_name: 'omg-migrate-lock', connectionTimeoutMillis: 10_000 });
  await lock.connect();
  try {
    await lock.query(`SET lock_timeout = ${Math.trunc(options.lockTimeoutMs ?? 300_000)}`);
    await lock.query('SELECT pg_advisory_lock($1, $2)', [LOCK_SPACE, LOCK_MIGRATE]);
    const applied = await applyPending(options, lock);
    await lock.query('SELECT omg_ensure_partitions($1)', [options.partitionMonthsAhead ?? 3]);
    return { applied };
  } finally {
    await lock.end();
  }
}

async function applyPending(options: MigrateOptions, client: pg.Client): Promise<string[]> {
  const migrations = readMigrations(options.migrationsDir ?? join(PACKAGE_DIR, 'migrations'));
  // The engine takes 100 ms to load: a start that has nothing to apply does without it.
  if (await isUpToDate(client, migrations)) return [];
  return withSchemaEngine(options.databaseUrl, readSchema(), async (engine) => {
    const diagnosis = await engine.diagnoseMigrationHistory({ migrationsList: migrations, optInToShadowDatabase: false, filters: NO_FILTER });
    const edited = diagnosis.editedMigrationNames.filter((name) => !diagnosis.failedMigrationNames.includes(name));
    if (edited.length > 0) throw new Error(`applied migrations were edited afterwards: ${edited.join(', ')}`);
    for (const migrationName of diagnosis.failedMigrationNames) await engine.markMigrationRolledBack({ migrationName });
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: migrations, filters: NO_FILTER });
    return appliedMigrationNames;
  });
}

async function isUpToDate(client: pg.Client, migrations: MigrationList): Promise<boolean> {
  const table = await client.query<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
  if (!table.rows[0]!.found) return false;
  const { rows } = await client.query<{ migration_name: string; checksum: string }>(
    'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const done = new Map(rows.map((row) => [row.migration_name, row.checksum]));
  const wanted = migrations.migrationDirectories;
  return wanted.length === done.size && wanted.every((directory) => done.get(directory.path) === checksumOf(directory));
}

function checksumOf(directory: MigrationList['migrationDirectories'][number]): string | undefined {
  const file = directory.migrationFile.content;
  return file.tag === 'ok' ? createHash('sha256').update(file.value).digest('hex') : undefined;
}

/** Reads the folder as Prisma lays it out: `<name>/migration.sql` in the order of the names. */
export function readMigrations(migrationsDir: string): MigrationList {
  if (!existsSync(migrationsDir)) throw new Error(`the folder of migrations does not exist: ${migrationsDir}`);
  const lockfile = join(migrationsDir, 'migration_lock.toml');
  const migrationDirectories = readdirSync(migrationsDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value: readFileSync(join(migrationsDir, name, 'migration.sql'), 'utf8') } },
    }));
  if (migrationDirectories.length === 0) throw new Error(`no migrations in ${migrationsDir}`);
  return {
    baseDir: migrationsDir,
    lockfile: { path: 'migration_lock.toml', content: existsSync(lockfile) ? readFileSync(lockfile, 'utf8') : null },
    shadowDbInitScript: '',
    migrationDirectories,
  };
}

function readSchema(): SchemaFile {
  return { path: 'schema.prisma', content: readFileSync(join(PACKAGE_DIR, 'schema.prisma'), 'utf8') };
}

/**
 * SQL that would turn the database into what schema.prisma says; undefined when they agree. Partitions belong to their
 * parents and are left out. Used by the tests, and to write the next migration.
 */
export async function schemaDrift(databaseUrl: string): Promise<string | undefined> {
  const schema = readSchema();
  const filters: SchemaFilter = { externalTables: await partitionNames(databaseUrl), externalEnums: [] };
  return withSchemaEngine(databaseUrl, schema, async (engine) => {
    const result = await engine.diff({
      from: { tag: 'schemaDatasource', files: [schema], configDir: PACKAGE_DIR },
      to: { tag: 'schemaDatamodel', files: [schema] },
      script: true,
      exitCode: true,
      filters,
    });
    return result.exitCode === 0 ? undefined : (result.stdout ?? '');
  });
}

async function partitionNames(databaseUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind = 'r'`,
    );
    return rows.map((row) => row.name);
  } finally {
    await client.end();
  }
}
