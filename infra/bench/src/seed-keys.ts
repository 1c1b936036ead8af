import pg from 'pg';
import { uuidOf } from './seed-usage.ts';

export interface KeySeed {
  /** Begins the names of the tenants and the prefixes of the keys: letters only. */
  name: string;
  tenants: number;
  keysPerTenant: number;
  /** The prefix of a key whose secret is `secret`. Without it the keys cannot be called. */
  secretOf?: string;
  secret?: string;
}

/**
 * Adds tenants with virtual keys for load. All keys have the same secret, so that their tokens are known. The triggers of the schema tell
 * the edges, as for keys that an operator makes. Returns the tokens (`sk-<prefix>.<secret>`), a tenant's keys far from each other.
 */
export async function seedKeys(databaseUrl: string, { name, tenants, keysPerTenant, secretOf = '', secret = '' }: KeySeed): Promise<string[]> {
  const tenantId = uuidOf(`'${name} tenant ' || n`);
  const keyId = uuidOf(`'${name} key ' || n || '-' || k`);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    await client.query(`INSERT INTO tenants (id, name, updated_at) SELECT ${tenantId}, $2::text || n, now() FROM generate_series(1, $1::int) n`, [
      tenants,
      name,
    ]);
    await client.query(
      `INSERT INTO api_keys (id, tenant_id, prefix, secret_digest, last_four, name, updated_at)
       SELECT ${keyId}, ${tenantId}, $3::text || n || 'x' || k, coalesce((SELECT secret_digest FROM api_keys WHERE prefix = $4), sha256('')), '0000', 'key ' || k, now()
       FROM generate_series(1, $1::int) n, generate_series(1, $2::int) k`,
      [tenants, keysPerTenant, name, secretOf],
    );
  } finally {
    await client.end();
  }
  return Array.from({ length: tenants * keysPerTenant }, (_, i) => `sk-${name}${1 + (i % tenants)}x${1 + Math.floor(i / tenants)}.${secret}`);
}
