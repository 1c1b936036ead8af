import { afterAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestDatabase } from '@omg/testkit';
import { cpSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { migrate, schemaDrift } from './migrate.js';

const MIGRATIONS = join(import.meta.dirname, '..', 'migrations');
const clients: pg.Client[] = [];

async function emptyDatabase(): Promise<{ url: string; client: pg.Client }> {
  const { url } = await createTestDatabase({ migrated: false });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return { url, client };
}

afterAll(async () => {
  for (const client of clients) await client.end();
  await cleanUp();
});

describe('migrate', () => {
  it('lets four replicas start on an empty database at once: one applies, all agree', async () => {
    const { url, client } = await emptyDatabase();
    const results = await Promise.all([1, 2, 3, 4].map(() => migrate({ databaseUrl: url })));
    const appliers = results.filter((result) => result.applied.length > 0);
    expect(appliers).toHaveLength(1);
    const { rows } = await client.query('SELECT migration_name, finished_at IS NOT NULL AS finished FROM _prisma_migrations ORDER BY 1');
    expect(rows).toEqual(appliers[0]!.applied.map((migration_name) => ({ migration_name, finished: true })));
  });

  it('leaves a database that is exactly what schema.prisma says', async () => {
    const { url, client } = await emptyDatabase();
    await migrate({ databaseUrl: url });
    expect(await schemaDrift(url)).toBeUndefined();
    await client.query('ALTER TABLE tenants ADD COLUMN stray integer');
    expect(await schemaDrift(url)).toContain('DROP COLUMN "stray"');
  });

  it('tries a migration again whose process was killed in the middle', async () => {
    const { url, client } = await emptyDatabase();
    await migrate({ databaseUrl: url });
    await client.query(`INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at) VALUES ('x', 'y', '29990101000000_next', now())`);
    const folder = copyWith('29990101000000_next', 'CREATE TABLE next_table (id int);');
    expect((await migrate({ databaseUrl: url, migrationsDir: folder })).applied).toEqual(['29990101000000_next']);
    rmSync(folder, { recursive: true });
  });

  it('applies a failing migration not at all', async () => {
    const { url, client } = await emptyDatabase();
    const folder = copyWith('29990101000000_broken', 'CREATE TABLE half_done (id int); SELECT 1/0;');
    await expect(migrate({ databaseUrl: url, migrationsDir: folder })).rejects.toThrow(/29990101000000_broken/);
    const { rows } = await client.query(`SELECT to_regclass('half_done') AS half, to_regclass('tenants') AS tenants`);
    expect(rows).toEqual([{ half: null, tenants: 'tenants' }]);
    rmSync(folder, { recursive: true });
  });

  it('lets a migration change rows whose triggers take locks of the product', async () => {
    const { url, client } = await emptyDatabase();
    await migrate({ databaseUrl: url });
    await client.query(
      `INSERT INTO usage_rollups VALUES (date_trunc('day', now()) - interval '1 day', gen_random_uuid(), gen_random_uuid(), 'm', 'p', 1, 0, 0, 0, 0, 0, 0, 0)`,
    );
    // A wait for ever would be one for the migrator's own lock; the limit only makes it fail instead.
    const folder = copyWith('29990101000000_recount', `SET LOCAL lock_timeout = '10s'; UPDATE usage_rollups SET requests = 2;`);
    await migrate({ databaseUrl: url, migrationsDir: folder });
    expect((await client.query('SELECT requests::int FROM usage_rollups')).rows).toEqual([{ requests: 2 }]);
    rmSync(folder, { recursive: true });
  });

  it('refuses a migration that was edited after it was applied', async () => {
    const { url, client } = await emptyDatabase();
    await migrate({ databaseUrl: url });
    await client.query(`UPDATE _prisma_migrations SET checksum = 'other' WHERE migration_name LIKE '%_rules'`);
    await expect(migrate({ databaseUrl: url })).rejects.toThrow(/edited afterwards: \d+_rules/);
  });
});

function copyWith(name: string, sql: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'omg-migrations-'));
  cpSync(MIGRATIONS, folder, { recursive: true });
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'migration.sql'), sql);
  return folder;
}
