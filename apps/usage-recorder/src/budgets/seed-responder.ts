import { SUBJECTS, budgetSeedRequestSchema, type BudgetSeedReply, type BudgetSeedRequest } from '@omg/contracts';
import type { Logger } from '@omg/service-kit';
import { type LedgerDatabase } from '@omg/database';
import { respond, type LedgerStore, type NatsClient } from '@omg/storage';
import { toSeed } from '../ingest/bookkeeper.js';
import type { RecorderMetrics } from '../metrics.js';
import type { BudgetRules } from './budget-rules.js';
import { currentTotals } from './current-totals.js';

/**
 * Puts totals into Redis when an edge misses them: the first call of a key or tenant, a new window, a rolling window whose
 * slot is over, a Redis that was emptied.
 *
 * A seed and a commit may overtake each other: the total with the higher version wins, and both are absolute, so the order
 * of arrival does not matter.
 */
export interface SeedResponderParts {
  nats: NatsClient;
  database: LedgerDatabase;
  store: Pick<LedgerStore, 'seed'>;
  rules: BudgetRules;
  metrics: RecorderMetrics;
  log: Logger;
}

/** Running requests; the edges ask once per scope and window, so more than this is a storm that their deadlines bound. */
const CONCURRENCY_MAX = 256;

export class SeedResponder {
  private readonly running = new Map<string, Promise<boolean>>();
  private stopListening: (() => void) | undefined;
  private subscription: { stop(): Promise<void> } | undefined;

  constructor(
    private readonly parts: SeedResponderParts,
    private readonly timezone: string,
  ) {
    const { nats } = parts;
    let current: unknown;
    this.stopListening = nats.onUp((connection) => {
      // Subscriptions survive a reconnect; only another connection needs a new one.
      if (current === connection) return;
      current = connection;
      this.subscription = respond(connection, {
        subject: SUBJECTS.budgetSeed,
        queueGroup: 'recorder',
        concurrency: CONCURRENCY_MAX,
        answer: (payload) => this.answer(payload),
        onError: (error) => this.failed(error),
      });
    });
  }

  async close(): Promise<void> {
    this.stopListening?.();
    await this.subscription?.stop().catch(() => undefined);
  }

  private async answer(payload: string): Promise<string> {
    const request = budgetSeedRequestSchema.parse(JSON.parse(payload));
    const reply: BudgetSeedReply = { v: 1, ok: await this.seedOnce(request) };
    this.parts.metrics.seeds.child(reply.ok ? 'seeded' : 'unknown_window').inc();
    return JSON.stringify(reply);
  }

  /** Requests of several edges for the same totals share one answer. */
  private seedOnce(request: BudgetSeedRequest): Promise<boolean> {
    const name = `${request.tenantId} ${request.apiKeyId ?? ''} ${request.windowId}`;
    let seeding = this.running.get(name);
    if (!seeding) {
      seeding = this.seed(request).finally(() => this.running.delete(name));
      this.running.set(name, seeding);
    }
    return seeding;
  }

  private async seed({ tenantId, apiKeyId, windowId }: BudgetSeedRequest): Promise<boolean> {
    const { database, rules, store } = this.parts;
    const totals = await database.transaction(
      async (tx) => {
        const { limitNano } = await rules.defaults(tx);
        return currentTotals(tx, { tenantId, ...(apiKeyId ? { apiKeyId } : {}), windowId }, { timezone: this.timezone, defaultLimitNano: limitNano });
      },
      { byIndex: true },
    );
    if (!totals) return false;
    await store.seed(tenantId, totals.map(toSeed));
    return true;
  }

  private failed(error: unknown): void {
    this.parts.metrics.seeds.child('failed').inc();
    this.parts.log.warn({ err: error }, 'a budget total could not be put into Redis');
  }
}
