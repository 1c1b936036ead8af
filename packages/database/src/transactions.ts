import pg from 'pg';

/**
 * Transactions on plain connections, for the ledger, whose statements work on arrays. The control plane uses Prisma.
 *
 * A broken connection is dropped and the next call takes another one. Callers see the error and decide whether to wait and
 * try again; see `isRefusedByDatabase`.
 */

/** Inside a transaction: the only way to run the statement of a `*.queries.ts` function. */
export interface Transaction {
  query<Row extends pg.QueryResultRow>(statement: { name?: string; text: string; values?: unknown[] }): Promise<{ rows: Row[]; rowCount: number | null }>;
}

export interface TransactionOptions {
  /** One unchanging state of the database, read only. */
  snapshot?: boolean;
  /** Replaces the pool's bound for each statement; for jobs that read or delete much. */
  statementTimeoutMs?: number;
  /**
   * Every statement reads the few rows that it names, each by an index, whatever the planner knows about the tables: without
   * statistics, or with those of a table that was small, it reads whole tables, at every commit.
   */
  byIndex?: boolean;
}

/**
 * Postgres forbids a plan by giving it a very high cost. Where no other plan exists it is used all the same, and its cost would
 * start the just-in-time compiler: that has to be off too.
 */
const BY_INDEX = ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'].map((name) => `; SET LOCAL ${name} = off`).join('');

export interface LedgerDatabase {
  /** Commits when `work` resolves and rolls back when it rejects. */
  transaction<T>(work: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Holds a lock of the whole database while `work` runs; undefined, without running it, when another process holds it. */
  exclusively<T>(lock: string, work: () => Promise<T>): Promise<T | undefined>;
}

const BIGINT_OID = 20;
/** Servers end transactions that idle for a minute. */
const LOCK_KEEPALIVE_MS = 15_000;

/** Amounts are BIGINT and must not pass through a double. */
const types = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === BIGINT_OID ? BigInt : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

export function ledgerDatabase(pool: pg.Pool): LedgerDatabase {
  return {
    transaction: (work, options) => inTransaction(pool, work, options),
    exclusively: (lock, work) =>
      inTransaction(pool, async (tx) => {
        // The lock belongs to the transaction, so that it also works through a pooler that shares connections.
        const { rows } = await tx.query<{ locked: boolean }>({ text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked', values: [lock] });
        if (!rows[0]!.locked) return undefined;
        const keepAlive = setInterval(() => void tx.query({ text: 'SELECT 1' }).catch(() => undefined), LOCK_KEEPALIVE_MS);
        try {
          return await work();
        } finally {
          clearInterval(keepAlive);
        }
      }),
  };
}

async function inTransaction<T>(pool: pg.Pool, work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // Without a listener the loss of a connection between two statements would end the process.
  const onError = (error: Error): void => void (broken = error);
  client.on('error', onError);
  try {
    await client.query(`BEGIN${options.snapshot ? ' ISOLATION LEVEL REPEATABLE READ READ ONLY' : ''}${options.byIndex ? BY_INDEX : ''}`);
    if (options.statementTimeoutMs !== undefined) await client.query(`SET LOCAL statement_timeout = ${Math.trunc(options.statementTimeoutMs)}`);
    const result = await work({ query: (statement) => client.query({ ...statement, types }) });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: Error) => (broken = cause));
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** SQLSTATE of an error from Postgres; undefined for one of the connection. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Postgres refused the values themselves (type, range, constraint, size): the same statement can never succeed. */
export function isRefusedByDatabase(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && /^(22|23|54)/.test(state);
}
