import pg from 'pg';
import type { ConnectionObserver } from '@omg/storage';

export interface DatabaseSettings {
  url: string;
  maxConns?: number;
  minConns?: number;
  maxConnIdleTimeMs?: number;
  maxConnLifetimeMs?: number;
  connectTimeoutMs?: number;
  /** 0: none. */
  statementTimeoutMs?: number;
}

export interface PoolOptions {
  /** Shown in `pg_stat_activity`. */
  name: string;
  observer?: ConnectionObserver;
}

export type PostgresPool = pg.Pool;

/** The longest wait for a connection of the pool, new or given back. */
export const connectTimeoutOf = (settings: DatabaseSettings): number => settings.connectTimeoutMs ?? 5_000;

/** A pool that connects when it is used; a lost connection is replaced at the next use. */
export function createPool(settings: DatabaseSettings, options: PoolOptions): PostgresPool {
  const { observer } = options;
  const pool = new pg.Pool({
    connectionString: settings.url,
    application_name: `omg:${options.name}`,
    max: settings.maxConns ?? 20,
    min: settings.minConns ?? 0,
    idleTimeoutMillis: settings.maxConnIdleTimeMs ?? 600_000,
    maxLifetimeSeconds: Math.max(1, Math.round((settings.maxConnLifetimeMs ?? 3_600_000) / 1000)),
    connectionTimeoutMillis: connectTimeoutOf(settings),
    statement_timeout: settings.statementTimeoutMs ?? 30_000,
    // The server ends transactions of a process that hangs, so that its locks do not outlive it.
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => observer?.onDown('postgres', error));
  // One connection may go while others work: the next use tells.
  pool.on('acquire', () => observer?.onUp('postgres'));
  return pool;
}

/** For a readiness check. */
export async function pingPostgres(pool: PostgresPool): Promise<void> {
  await pool.query('SELECT 1');
}
