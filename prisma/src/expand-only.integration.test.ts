import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestDatabase } from '@omg/testkit';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { digestsOf, readBaseline } from './baseline.js';
import { migrate } from './migrate.js';
import { contractions, readShape, type SchemaShape } from './schema-shape.fixture.js';

const MIGRATIONS = join(import.meta.dirname, '..', 'migrations');
const NAMES = readdirSync(MIGRATIONS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .toSorted();
const baseline = readBaseline();
const clients: pg.Client[] = [];
const folders: string[] = [];

/** The folder as it was when these were all migrations. */
function folderWith(names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'omg-migrations-'));
  folders.push(folder);
  cpSync(join(MIGRATIONS, 'migration_lock.toml'), join(folder, 'migration_lock.toml'));
  for (const name of names) cpSync(join(MIGRATIONS, name), join(folder, name), { recursive: true });
  return folder;
}

async function databaseAt(names: readonly string[]): Promise<{ url: string; client: pg.Client }> {
  const { url } = await createTestDatabase({ migrated: false });
  await migrate({ databaseUrl: url, migrationsDir: folderWith(names) });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return { url, client };
}

afterAll(async () => {
  for (const client of clients) await client.end();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  await cleanUp();
});

describe('the migrations since the last release', () => {
  const released = Object.keys(baseline.migrations);

  it('come after those of the release, of which none was edited or removed', () => {
    const digests = digestsOf(MIGRATIONS);
    expect(Object.fromEntries(released.map((name) => [name, digests[name]]))).toEqual(baseline.migrations);
    expect(NAMES.slice(0, released.length)).toEqual(released);
  });

  it('only expand: nothing that services of the release read is gone, and nothing that they write is refused', async () => {
    const [before, after] = await Promise.all([databaseAt(released), databaseAt(NAMES)]);
    const found = contractions(await readShape(before.client), await readShape(after.client));
    expect(found.filter((line) => !(line in baseline.contract))).toEqual([]);
    // What was excused must still be there, else the list hides the next mistake.
    expect(Object.keys(baseline.contract).filter((line) => !found.includes(line))).toEqual([]);
  });
});

describe('a database with data', () => {
  const TENANT = '0197c1de-7a6e-7bbb-8000-000000000001';
  const EVENT = '0197c1de-7a6e-7bbb-8000-000000000002';

  // A state before the first two never ran anywhere: the second holds the rules that the services rely on.
  it.each(NAMES.slice(1, -1))('at %s keeps it through all migrations that follow', async (last) => {
    const { url, client } = await databaseAt(NAMES.slice(0, NAMES.indexOf(last) + 1));
    await client.query(`INSERT INTO tenants (id, name) VALUES ($1, 'acme')`, [TENANT]);
    await client.query(
      `INSERT INTO requests (id, ts, tenant_id, api_key_id, trace_id, operation, model_alias, provider, stream, status, latency_ms, input_tokens, output_tokens, cost_nano)
       VALUES ($2, date_trunc('day', now()), $1, $1, 't', 'chat', 'm', 'p', false, 200, 5, 6, 7, 8)`,
      [TENANT, EVENT],
    );
    await client.query(
      `INSERT INTO usage_records (id, ts, tenant_id, api_key_id, operation, model_alias, provider, input_tokens, output_tokens, meters, usage_source, cost_nano, booked_at)
       VALUES ($2, date_trunc('day', now()), $1, $1, 'chat', 'm', 'p', 6, 7, '{}', 'provider', 8, now())`,
      [TENANT, EVENT],
    );
    const { applied } = await migrate({ databaseUrl: url });
    expect(applied).toEqual(NAMES.slice(NAMES.indexOf(last) + 1));
    const { rows } = await client.query(
      `SELECT t.name, r.status, u.input_tokens, u.cost_nano::text FROM usage_records u JOIN requests r USING (id, ts) JOIN tenants t ON t.id = u.tenant_id`,
    );
    expect(rows).toEqual([{ name: 'acme', status: 200, input_tokens: 6, cost_nano: '8' }]);
  });

  it('that is newer than the services is left alone by them, so that a rollback of the services starts', async () => {
    const { url, client } = await databaseAt(NAMES);
    const older = folderWith(NAMES.slice(0, -1));
    expect((await migrate({ databaseUrl: url, migrationsDir: older })).applied).toEqual([]);
    const { rows } = await client.query('SELECT count(*)::int AS n FROM _prisma_migrations WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL');
    expect(rows).toEqual([{ n: NAMES.length }]);
  });
});

describe('the check for contractions', () => {
  let before: SchemaShape;
  let client: pg.Client;

  beforeAll(async () => {
    ({ client } = await databaseAt(NAMES));
    before = await readShape(client);
  });

  async function shapeAfter(sql: string): Promise<SchemaShape> {
    await client.query('BEGIN');
    try {
      await client.query(sql);
      return await readShape(client);
    } finally {
      await client.query('ROLLBACK');
    }
  }

  it.each([
    ['a dropped column', 'ALTER TABLE users DROP COLUMN last_login_at', 'users.last_login_at: dropped or renamed'],
    ['a renamed column', 'ALTER TABLE users RENAME COLUMN last_login_at TO seen_at', 'users.last_login_at: dropped or renamed'],
    ['a dropped table', 'DROP TABLE bootstrap_fingerprints', 'bootstrap_fingerprints.record: dropped or renamed'],
    ['another type', 'ALTER TABLE requests ALTER COLUMN trace_id TYPE varchar(64)', 'requests.trace_id: character varying(128) became character varying(64)'],
    ['null forbidden', 'ALTER TABLE users ALTER COLUMN personal_tenant_id SET NOT NULL', 'users.personal_tenant_id: no longer takes null'],
    ['a column that must be given', 'ALTER TABLE tenants ADD COLUMN region text NOT NULL', 'tenants.region: new, and must be given'],
    ['a default taken away', 'ALTER TABLE tenants ALTER COLUMN version DROP DEFAULT', 'tenants.version: lost its default'],
    ['a new rule', 'ALTER TABLE tenants ADD CHECK (length(name) < 5)', 'tenants: CHECK ((length((name)::text) < 5)): a new rule for existing writers'],
    ['a new unique index', 'CREATE UNIQUE INDEX ON users (name)', 'users: CREATE UNIQUE INDEX USING btree (name): a new rule for existing writers'],
    ['a dropped function', 'DROP FUNCTION omg_ensure_partitions', 'omg_ensure_partitions(integer): function dropped'],
  ])('finds %s', async (_what, sql, line) => {
    expect(contractions(before, await shapeAfter(sql))).toContain(line);
  });

  it.each([
    ['a new table with rules of its own', 'CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL UNIQUE)'],
    ['a new column with a default', `ALTER TABLE tenants ADD COLUMN region text NOT NULL DEFAULT 'eu'`],
    [
      'a new column that may be null, an index, a dropped rule',
      'ALTER TABLE users ADD COLUMN age int; CREATE INDEX ON users (age); ALTER TABLE users ALTER COLUMN name DROP NOT NULL',
    ],
  ])('lets %s pass', async (_what, sql) => {
    expect(contractions(before, await shapeAfter(sql))).toEqual([]);
  });
});
