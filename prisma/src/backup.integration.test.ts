import { afterAll, expect, it } from '@jest/globals';
import { cleanUp, createTestDatabase, repositoryRoot, temporaryFolder } from '@omg/testkit';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

afterAll(cleanUp);

const run = promisify(execFile);
const script = (name: string, file: string, url: string) =>
  run(join(repositoryRoot(), 'infra', 'ops', name), [file], { env: { PATH: process.env['PATH'], ROUTER_DB_URL: url } });

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const TENANTS = 'select id, name, status from tenants order by name';
const TABLES = "select count(*)::int as n from pg_class c join pg_namespace s on s.oid = c.relnamespace where c.relkind in ('r', 'p') and s.nspname = 'public'";

it('a backup restores into an empty database as it was, and never over one that holds something', async () => {
  const [source, empty] = await Promise.all([createTestDatabase(), createTestDatabase({ migrated: false })]);
  await query(source.url, "insert into tenants (id, name, kind, status, updated_at) values (gen_random_uuid(), 'acme', 'organization', 'active', now())");
  const file = join(temporaryFolder(), 'ledger.dump');
  expect((await script('backup.sh', file, source.url)).stdout).toMatch(/bytes$/m);
  await script('restore.sh', file, empty.url);
  expect(await query(empty.url, TENANTS)).toEqual(await query(source.url, TENANTS));
  expect(await query(empty.url, TABLES)).toEqual(await query(source.url, TABLES));
  await expect(script('restore.sh', file, empty.url)).rejects.toThrow(/restore into an empty one/);
});
