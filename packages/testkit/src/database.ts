import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '@omg/prisma';
import pg from 'pg';
import { addCleanup } from './cleanup.js';
import { repositoryRoot } from './repository.js';
import { attachServices } from './services.js';

export interface TestDatabase {
  url: string;
  /** How a pool of the test opens it. */
  settings: { url: string; connectTimeoutMs: number };
  name: string;
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Server to make it on; default: ROUTER_DB_URL. */
  serverUrl?: string;
  /** False: an empty database. Default true: all migrations applied. */
  migrated?: boolean;
}

/** For a turn at the test's own pool as for a new connection: on a busy machine seconds can pass without anything being wrong. */
const CONNECT_TIMEOUT_MS = 120_000;

/** Any number; it must only be the same for everyone who makes template databases. */
const TEMPLATE_LOCK = 7_311_202_611;

function withDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.toString();
}

async function onServer<T>(serverUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: withDatabase(serverUrl, 'postgres') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Changes whenever a migrated database could look different: with a migration, or with the month whose partitions exist. */
function migrationsFingerprint(): string {
  const folder = join(repositoryRoot(), 'prisma', 'migrations');
  const hash = createHash('sha256').update(new Date().toISOString().slice(0, 7));
  for (const name of readdirSync(folder).sort()) {
    const file = join(folder, name, 'migration.sql');
    if (existsSync(file)) hash.update(name).update(readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

/** The name of a database with all migrations applied. It is made once per state of prisma/migrations, by whoever comes first. */
async function ensureTemplate(serverUrl: string): Promise<string> {
  const name = `omg_template_${migrationsFingerprint()}`;
  await onServer(serverUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const found = await client.query<{ datistemplate: boolean }>('SELECT datistemplate FROM pg_database WHERE datname = $1', [name]);
    if (found.rows[0]?.datistemplate === true) return;
    // Present without the template flag: whoever made it died halfway.
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
    await migrate({ databaseUrl: withDatabase(serverUrl, name) });
    await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE true`);
  });
  return name;
}

/**
 * A fresh database with the product's schema, cloned from a migrated template (some 50 ms).
 * Dropped by `drop()` or `cleanUp()`, open connections included.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const serverUrl = options.serverUrl ?? attachServices().databaseUrl;
  const template = options.migrated === false ? 'template0' : await ensureTemplate(serverUrl);
  const name = `omg_test_${randomBytes(8).toString('hex')}`;
  await onServer(serverUrl, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const drop = async (): Promise<void> => {
    await onServer(serverUrl, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  };
  // A database on the test file's own server goes with that server, which may have been killed by then.
  if (options.serverUrl === undefined) addCleanup(drop);
  const url = withDatabase(serverUrl, name);
  return { url, settings: { url, connectTimeoutMs: CONNECT_TIMEOUT_MS }, name, drop };
}
