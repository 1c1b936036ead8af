import type { BudgetSeedRequest } from '@omg/contracts';
import type { BudgetWindow } from '@omg/domain';
import type { AdmitRequest } from '@omg/storage';

/** Asks the recorder on the bus; resolves once the totals are in Redis. */
export type RequestSeed = (request: BudgetSeedRequest, timeoutMs: number) => Promise<void>;

/**
 * Totals that Redis does not have (a new key, a new window, a Redis that was emptied) come from Postgres, through the
 * recorder. However many calls need the same total, it is asked for once at a time, and not again for a while after a
 * failure, so that a recorder that is away costs nothing.
 */
export class BudgetSeeds {
  private readonly running = new Map<string, Promise<boolean>>();
  private quietUntil = 0;

  constructor(
    private readonly requestSeed: RequestSeed,
    private readonly options: { timeoutMs: number; quietMs: number; runningMax: number },
    private readonly monotonicMs: () => number = () => performance.now(),
  ) {}

  /** True once the total is in Redis, false when nobody could tell it. Never rejects. */
  request(admission: AdmitRequest, window: BudgetWindow): Promise<boolean> {
    const name = `${admission.tenantId}|${admission.keyId}|${window.id}`;
    const running = this.running.get(name);
    if (running) return running;
    if (this.monotonicMs() < this.quietUntil || this.running.size >= this.options.runningMax) return Promise.resolve(false);
    const seeding = this.ask(admission, window).finally(() => this.running.delete(name));
    this.running.set(name, seeding);
    return seeding;
  }

  private async ask(admission: AdmitRequest, window: BudgetWindow): Promise<boolean> {
    try {
      await this.requestSeed(
        {
          v: 1,
          tenantId: admission.tenantId,
          ...(admission.budgets.key ? { apiKeyId: admission.keyId } : {}),
          schedule: window.schedule,
          windowId: window.id,
          windowStartMs: window.startMs,
          windowEndMs: window.endMs,
        },
        this.options.timeoutMs,
      );
      return true;
    } catch {
      this.quietUntil = this.monotonicMs() + this.options.quietMs;
      return false;
    }
  }
}
