/**
 * Keeps retries and failovers a bounded share of the traffic, so that a failing provider is not met with twice the load.
 * Each request earns a share of a retry; a retry spends a whole one. The reserve lets a quiet gateway fail over, too.
 */
export interface RetryBudgetSettings {
  /** Retries per request in the long run, such as 0.2. */
  ratio: number;
  /** Retries available at start, and the most that quiet times can save up. */
  reserve: number;
}

export const DEFAULT_RETRY_BUDGET: RetryBudgetSettings = Object.freeze({ ratio: 0.2, reserve: 20 });

export class RetryBudget {
  private balance: number;

  constructor(private readonly settings: RetryBudgetSettings = DEFAULT_RETRY_BUDGET) {
    this.balance = settings.reserve;
  }

  /** A client's request came in. */
  request(): void {
    this.balance = Math.min(this.settings.reserve, this.balance + this.settings.ratio);
  }

  /** Whether one more attempt may be made; takes it from the budget. */
  tryRetry(): boolean {
    if (this.balance < 1) return false;
    this.balance -= 1;
    return true;
  }
}
