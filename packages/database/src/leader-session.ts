import pg from 'pg';
import type { DatabaseSettings } from './pool.js';

/** The product's advisory locks: their first key is `space` ('omg'), the second the purpose. 2 (partitions) and 6 (migrations) are taken in prisma/. */
export const ADVISORY_LOCKS = { space: 0x6f6d67, audit: 1, usageDays: 3, bootstrap: 4, projector: 5 } as const;

export interface LeaderSessionOptions {
  /** Shown in `pg_stat_activity`. */
  name: string;
  /** One of ADVISORY_LOCKS. */
  purpose: number;
  /** Channel to LISTEN on while leading. */
  channel: string;
  onNotify: () => void;
}

/**
 * Leadership as a session lock of Postgres, on a connection of its own: it is held as long as the connection lives, so a
 * killed leader is replaced as soon as the server notices. A process that was cut off may believe for a moment that it
 * still leads; what it writes elsewhere must be conditional.
 *
 * Needs a connection that keeps its session: behind a pooler in transaction mode the lock would not hold.
 */
export class LeaderSession {
  private client: pg.Client | undefined;

  constructor(
    private readonly settings: Pick<DatabaseSettings, 'url' | 'connectTimeoutMs'>,
    private readonly options: LeaderSessionOptions,
  ) {}

  get isLeading(): boolean {
    return this.client !== undefined;
  }

  /** True when this process leads from now on. False: another one does. Rejects while Postgres is away. */
  async tryLead(): Promise<boolean> {
    if (this.client) return true;
    const client = new pg.Client({
      connectionString: this.settings.url,
      application_name: `omg:${this.options.name}`,
      connectionTimeoutMillis: this.settings.connectTimeoutMs ?? 5000,
      keepAlive: true,
    });
    client.on('error', () => this.lost(client));
    client.on('end', () => this.lost(client));
    client.on('notification', () => this.options.onNotify());
    try {
      await client.connect();
      const { rows } = await client.query<{ led: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS led', [ADVISORY_LOCKS.space, this.options.purpose]);
      if (!rows[0]!.led) {
        await client.end();
        return false;
      }
      // A server that lost the client's machine without a goodbye frees the lock within some fifteen seconds.
      await client.query('SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2');
      await client.query(`LISTEN ${pg.escapeIdentifier(this.options.channel)}`);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.client = client;
    return true;
  }

  /** Asks the server whether the session is alive; gives up leading when it is not. */
  async check(): Promise<boolean> {
    const { client } = this;
    if (!client) return false;
    try {
      await client.query('SELECT 1');
      return this.client === client;
    } catch {
      this.lost(client);
      return false;
    }
  }

  /** Frees the lock for another replica. */
  async resign(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  private lost(client: pg.Client): void {
    if (this.client !== client) return;
    this.client = undefined;
    this.options.onNotify();
  }
}
