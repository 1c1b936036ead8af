import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { PrismaClient } from '@omg/database';
import { PRISMA } from '../http/tokens.js';
import { RecurringRun } from '../recurring-run.js';

const EVERY_MS = 10 * 60_000;
/** Rows of one statement, and statements of one run: a backlog is worked off over several runs. */
const BATCH_ROWS = 1_000;
const BATCHES_MAX = 50;

/**
 * Forgets refresh tokens that have expired, and logins that have none left. An expired token is refused by its own
 * signature, so that its row tells nothing any more. Replicas may run it side by side: each takes rows that no other holds.
 */
@Injectable()
export class SessionSweepJob implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly runs = new RecurringRun('session-sweep', EVERY_MS, () => this.sweep());

  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  onApplicationBootstrap(): void {
    this.runs.start();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.runs.stop();
  }

  /** One run; answers how many tokens it forgot. */
  async sweep(): Promise<number> {
    const tokens = await this.inBatches(
      () => this.prisma.$executeRaw`
        DELETE FROM refresh_tokens WHERE id IN (
          SELECT id FROM refresh_tokens WHERE expires_at < now() ORDER BY expires_at LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED)`,
    );
    // After the tokens and by themselves: replicas that share the tokens of one login do not see each other's deletions
    // before they commit, and whoever is last finds the login empty. A login that begins has its token from the start.
    await this.inBatches(
      () => this.prisma.$executeRaw`
        DELETE FROM refresh_token_families WHERE id IN (
          SELECT f.id FROM refresh_token_families f WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.family_id = f.id)
          LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED)`,
    );
    return tokens;
  }

  private async inBatches(removeBatch: () => Promise<number>): Promise<number> {
    let removed = 0;
    for (let batch = 0; batch < BATCHES_MAX && !this.runs.isStopped; batch++) {
      const count = await removeBatch();
      removed += count;
      if (count < BATCH_ROWS) break;
    }
    return removed;
  }
}
