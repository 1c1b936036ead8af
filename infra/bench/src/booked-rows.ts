import { waitFor } from '@omg/testkit';
import pg from 'pg';

/** Waits until the ledger stops growing and counts its rows. */
export async function bookedRows(databaseUrl: string): Promise<{ rows: number; costNano: bigint }> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const read = async (): Promise<{ rows: number; costNano: bigint }> => {
    const { rows } = await pool.query<{ n: string; cost: string }>('SELECT count(*)::text AS n, coalesce(sum(cost_nano), 0)::text AS cost FROM usage_records');
    return { rows: Number(rows[0]!.n), costNano: BigInt(rows[0]!.cost) };
  };
  let last = -1;
  let still = 0;
  const settled = await waitFor(
    async () => {
      const now = await read();
      still = now.rows === last ? still + 1 : 0;
      last = now.rows;
      return still >= 8 ? now : undefined;
    },
    { intervalMs: 500, timeoutMs: 300_000, what: 'the recorder to book everything' },
  );
  await pool.end();
  return settled;
}
