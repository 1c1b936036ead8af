/**
 * Failover must not multiply the load on providers that are already failing: retries draw on tokens that requests earn,
 * so that upstream calls stay below (1 + ratio) times the requests. A small reserve lets a quiet gateway fail over too.
 */
export class RetryBudget {
  private tokens: number;

  constructor(
    /** Retries per request, 0.2 for one in five. */
    private readonly ratio: number,
    private readonly reserve: number,
  ) {
    this.tokens = reserve;
  }

  onRequest(): void {
    this.tokens = Math.min(this.reserve, this.tokens + this.ratio);
  }

  /** Takes one retry; false when the budget is used up. */
  take(): boolean {
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}
