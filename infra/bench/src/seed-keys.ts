import pg from 'pg';

/**
 * Adds tenants with virtual keys for load: all keys have the secret of the key with `secretOf` as prefix, so that their tokens are
 * known. The triggers of the schema tell the edges, as for keys that an operator makes.
 * Returns the tokens (`sk-<prefix>.<secret>`), a tenant's keys far from each other.
 */
export async function seedKeys(
  databaseUrl: string,
  { tenants, keysPerTenant, secretOf, secret }: { tenants: number; keysPerTenant: number; secretOf: string; secret: string },
): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    await client.query(
      `INSERT INTO tenants (id, name, updated_at) SELECT md5('keys tenant ' || n)::uuid, 'keys tenant ' || n, now() FROM generate_series(1, $1::int) n`,
      [tenants],
    );
    await client.query(
      `INSERT INTO api_keys (id, tenant_id, prefix, secret_digest, last_four, name, updated_at)
       SELECT md5('keys key ' || n || '-' || k)::uuid, md5('keys tenant ' || n)::uuid, 'keys' || n || 'x' || k,
         (SELECT secret_digest FROM api_keys WHERE prefix = $3), '0000', 'key ' || k, now()
       FROM generate_series(1, $1::int) n, generate_series(1, $2::int) k`,
      [tenants, keysPerTenant, secretOf],
    );
  } finally {
    await client.end();
  }
  return Array.from({ length: tenants * keysPerTenant }, (_, i) => `sk-keys${1 + (i % tenants)}x${1 + Math.floor(i / tenants)}.${secret}`);
}
