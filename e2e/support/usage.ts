import { waitFor } from '@omg/testkit';
import pg from 'pg';

/** A row of `requests` joined with its usage, amounts and counts as text. */
export interface RecordedCall {
  trace_id: string;
  status: number;
  error_code: string | null;
  stream: boolean;
  provider: string;
  model_alias: string;
  input_tokens: number | null;
  output_tokens: number | null;
  usage_source: string | null;
  cost_nano: string | null;
}

/** Reads what the ledger committed, as a report would. */
export class Ledger {
  private constructor(private readonly pool: pg.Pool) {}

  static open(databaseUrl: string): Ledger {
    return new Ledger(new pg.Pool({ connectionString: databaseUrl, max: 2 }));
  }

  async calls(requestIds: readonly string[]): Promise<RecordedCall[]> {
    const { rows } = await this.pool.query<RecordedCall>(
      `SELECT r.trace_id, r.status, r.error_code, r.stream, r.provider, r.model_alias,
              u.input_tokens, u.output_tokens, u.usage_source, u.cost_nano::text
         FROM requests r LEFT JOIN usage_records u USING (id, ts)
        WHERE r.trace_id = ANY($1) ORDER BY r.id`,
      [requestIds],
    );
    return rows;
  }

  /** The one row of a request, as soon as it is committed. */
  async call(requestId: string): Promise<RecordedCall> {
    const rows = await waitFor(
      async () => {
        const found = await this.calls([requestId]);
        return found.length > 0 ? found : undefined;
      },
      { what: `the row of request ${requestId}` },
    );
    if (rows.length !== 1) throw new Error(`${rows.length} rows for one request`);
    return rows[0]!;
  }

  /** All request rows. */
  async count(): Promise<number> {
    return Number((await this.pool.query<{ n: string }>('SELECT count(*) AS n FROM requests')).rows[0]!.n);
  }

  /** Everything that was ever booked. */
  async costNano(): Promise<bigint> {
    const { rows } = await this.pool.query<{ sum: string | null }>('SELECT sum(cost_nano)::text AS sum FROM usage_records');
    return BigInt(rows[0]!.sum ?? 0);
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}
