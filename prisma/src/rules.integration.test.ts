import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestDatabase } from '@omg/testkit';
import pg from 'pg';

let db: pg.Client;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  db = new pg.Client({ connectionString: url });
  await db.connect();
});
afterAll(async () => {
  await db.end();
  await cleanUp();
});

const usage = (
  ts: string,
) => `INSERT INTO usage_records (id, ts, tenant_id, api_key_id, operation, model_alias, provider, input_tokens, output_tokens, meters, usage_source, booked_at)
  VALUES (gen_random_uuid(), '${ts}', gen_random_uuid(), gen_random_uuid(), 'chat', 'm', 'p', 1, 1, '{}', 'provider', '${ts}')`;
const partitionsOf = async (parent: string): Promise<string[]> => {
  const { rows } = await db.query<{ name: string }>('SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1', [
    parent,
  ]);
  return rows.map((row) => row.name);
};

describe('monthly partitions', () => {
  it('are there for last month, this month and three more', async () => {
    const { rows } = await db.query<{ month: string }>(
      `SELECT to_char(now() + make_interval(months => n), '"_y"YYYY"m"MM') AS month FROM generate_series(-1, 3) AS n`,
    );
    for (const parent of ['requests', 'usage_records'])
      expect(await partitionsOf(parent)).toEqual(expect.arrayContaining(rows.map(({ month }) => `${parent}${month}`)));
  });

  it('lose no row of a month that has none yet, and take it in when they are made', async () => {
    await db.query(usage('2031-05-31T23:59:59.999Z'));
    await db.query(usage('2031-06-01T00:00:00Z'));
    await db.query(`SELECT omg_ensure_month_partition('usage_records', '2031-05-15Z')`);
    const { rows } = await db.query(`SELECT tableoid::regclass::text AS part, count(*)::int AS n FROM usage_records GROUP BY 1 ORDER BY 1`);
    expect(rows).toEqual([
      { part: 'usage_records_default', n: 1 },
      { part: 'usage_records_y2031m05', n: 1 },
    ]);
  });

  it('are made once by callers that come together', async () => {
    const clients = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const client = new pg.Client({ connectionString: `postgres://${db.user}@${db.host}:${db.port}/${db.database}` });
        await client.connect();
        return client;
      }),
    );
    const results = await Promise.all(clients.map((client) => client.query<{ made: string }>('SELECT omg_ensure_partitions(6) AS made')));
    for (const client of clients) await client.end();
    expect(results.flatMap((result) => result.rows.map((row) => row.made)).sort()).toHaveLength(6);
  });

  it('are dropped whole when they are past, and only then', async () => {
    await db.query(`SELECT omg_ensure_month_partition('requests', '2001-01-15Z')`);
    const { rows } = await db.query(`SELECT omg_drop_partitions_before('requests', '2001-02-01T00:00:00Z') AS dropped`);
    expect(rows).toEqual([{ dropped: 'requests_y2001m01' }]);
    await db.query(`SELECT omg_ensure_month_partition('requests', '2001-01-15Z')`);
    expect((await db.query(`SELECT omg_drop_partitions_before('requests', '2001-01-31T23:59:59Z')`)).rows).toEqual([]);
    await expect(db.query(`SELECT omg_drop_partitions_before('tenants', now())`)).rejects.toThrow('not a partitioned table');
  });
});

describe('rules that no code path can pass by', () => {
  const tenant = `INSERT INTO tenants (id, name) VALUES ('00000000-0000-4000-8000-000000000001', 'rules')`;
  const key = (columns: string, values: string) =>
    `INSERT INTO api_keys (id, tenant_id, name, last_four, prefix, secret_digest${columns}) VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'k', 'abcd', 'p' || gen_random_uuid(), decode(repeat('ab', 32), 'hex')${values})`;
  beforeAll(() => db.query(tenant));

  it.each([
    ['a mail in upper case', `INSERT INTO users (id, email, name) VALUES (gen_random_uuid(), 'A@example.com', 'A')`, 'users_email_lower_case'],
    ['a blank tenant name', `INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), '  ')`, 'tenants_name_not_blank'],
    ['a limit of 0 on a key', key(', requests_per_minute', ', 0'), 'api_keys_limits_positive'],
    ['a grace digest without an end', key(', previous_digest', `, decode(repeat('ab', 32), 'hex')`), 'api_keys_grace_complete'],
    [
      'a budget of nothing',
      `INSERT INTO tenant_budget_overrides (tenant_id, budget_nano) VALUES ('00000000-0000-4000-8000-000000000001', 0)`,
      'tenant_budget_overrides_valid',
    ],
    ['negative tokens', usage('2026-11-23Z').replace(', 1, 1,', ', -1, 1,'), 'usage_records_not_negative'],
    ['an alias whose key is not its lower case', `INSERT INTO model_aliases (key, alias) VALUES ('A', 'A')`, 'model_aliases_key_is_lower_alias'],
  ])('%s is refused', async (_what, sql, constraint) => {
    await expect(db.query(sql)).rejects.toMatchObject({ constraint });
  });

  it('an audit row cannot be changed, deleted or truncated; only its user can be forgotten', async () => {
    const userId = '00000000-0000-4000-8000-0000000000aa';
    await db.query(`INSERT INTO users (id, email, name) VALUES ($1, 'gone@example.com', 'G')`, [userId]);
    await db.query(
      `INSERT INTO audit_logs (id, user_id, user_email, action, resource, resource_id, prev_hash, hash) VALUES (gen_random_uuid(), $1, 'gone@example.com', 'a', 'r', 'i', '', '')`,
      [userId],
    );
    for (const sql of [
      `UPDATE audit_logs SET action = 'x'`,
      `UPDATE audit_logs SET user_id = NULL, action = 'x'`,
      'DELETE FROM audit_logs',
      'TRUNCATE audit_logs',
    ])
      await expect(db.query(sql)).rejects.toThrow('append-only');
    await db.query('DELETE FROM users WHERE id = $1', [userId]);
    expect((await db.query('SELECT user_id, user_email FROM audit_logs')).rows).toEqual([{ user_id: null, user_email: 'gone@example.com' }]);
  });

  it('a price version cannot be changed', async () => {
    await db.query(`INSERT INTO model_aliases (key, alias) VALUES ('m', 'm')`);
    await db.query(
      `INSERT INTO model_routes (id, alias_key, identity, source, provider, provider_model) VALUES ('00000000-0000-4000-8000-000000000002', 'm', 'i', 'db', 'p', 'm')`,
    );
    await db.query(`INSERT INTO price_versions (id, route_id, price_input) VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000002', 1)`);
    await expect(db.query('UPDATE price_versions SET price_input = 2')).rejects.toThrow('immutable');
    await db.query(`DELETE FROM model_aliases WHERE key = 'm'`);
    expect((await db.query('SELECT count(*)::int AS n FROM price_versions')).rows).toEqual([{ n: 0 }]);
  });
});
