import { migrate } from '@omg/prisma';
import { errorClass, type Logger } from '@omg/service-kit';
import { type PrismaClient } from '@omg/database';
import { backoffMs } from '@omg/storage';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { BootstrapError, runBootstrap, type BootstrapInput } from './bootstrap/bootstrap.js';
import type { AdminConfig } from './config.js';

/**
 * What must have happened before the admin API serves: migrations, then bootstrap. It waits for Postgres as long as that
 * takes; readiness tells so meanwhile. What waiting cannot heal (a bad migration, a reference to an unknown tenant) is
 * thrown.
 */
export interface SetupOptions {
  database: AdminConfig['database'];
  prisma: PrismaClient;
  bootstrap: BootstrapInput;
  logger: Logger;
  signal: AbortSignal;
}

const MIGRATIONS_DIR_DEFAULT = './migrations';
const PASSING = new Set(['timeout', 'refused', 'unreachable', 'dns', 'closed']);

export class Setup {
  private done = false;

  constructor(private readonly options: SetupOptions) {}

  get isDone(): boolean {
    return this.done;
  }

  /** For the readiness check. */
  async check(): Promise<void> {
    if (!this.done) throw new Error('migrations and bootstrap have not finished');
  }

  async run(): Promise<void> {
    const { logger, signal } = this.options;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await this.attempt();
        this.done = true;
        return;
      } catch (error) {
        if (error instanceof BootstrapError || !isPassing(error)) throw error;
        if (attempt === 0) logger.warn({ err: error }, 'waiting for Postgres');
        await delay(backoffMs(attempt), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async attempt(): Promise<void> {
    const { database, logger } = this.options;
    if (database.runMigrations) {
      const { applied } = await migrate({ databaseUrl: database.url, migrationsDir: folderOf(database.migrationsDir) });
      if (applied.length > 0) logger.info({ applied }, 'migrations applied');
    }
    await this.bootstrap();
  }

  /** Brings the configuration's lists into the database; also for a configuration that was read again. */
  async bootstrap(): Promise<void> {
    const { prisma, bootstrap, logger } = this.options;
    const { created, updated, catalog, warnings } = await runBootstrap(prisma, bootstrap);
    for (const warning of warnings) logger.warn({ warning }, 'bootstrap');
    logger.info({ created: created.length, updated: updated.length, catalog }, 'bootstrap applied');
  }
}

/** Only a folder that somebody named must be there; without one the migrations that came with the release are meant. */
function folderOf(migrationsDir: string): string | undefined {
  return migrationsDir === MIGRATIONS_DIR_DEFAULT && !existsSync(migrationsDir) ? undefined : migrationsDir;
}

function isPassing(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  // Prisma's own codes for a server that is away, too busy, or gone in the middle; and Postgres starting up or shutting down.
  if (typeof code === 'string' && /^(P1001|P1002|P1008|P1017|P2024|P2028|P2034|57P0[123]|53300|40001|40P01)$/.test(code)) return true;
  return PASSING.has(errorClass(error));
}
