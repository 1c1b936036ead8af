/** Longer than providers are usually given for their headers before another one is asked. */
const SECONDS_KEPT = 30;

/**
 * Failover must not multiply the load on providers that are already failing: retries draw on tokens that requests earn,
 * so that upstream calls stay below (1 + ratio) times the requests. A small reserve lets a quiet gateway fail over too.
 *
 * Tokens last for some seconds: calls that hang together fail together, as many as came in that time, and each of them has
 * earned its share. What is older goes to the reserve as far as it has room, so a long quiet time saves nothing up.
 */
export class RetryBudget {
  /** Tokens by the second in which they were earned. */
  private readonly earned = new Float64Array(SECONDS_KEPT);
  private second = 0;
  private held = 0;
  private spare: number;

  constructor(
    /** Retries per request, 0.2 for one in five. */
    private readonly ratio: number,
    private readonly reserve: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.spare = reserve;
  }

  onRequest(): void {
    const slot = this.slotNow();
    this.earned[slot] = this.earned[slot]! + this.ratio;
    this.held += this.ratio;
  }

  /** Takes one retry; false when the budget is used up. */
  take(): boolean {
    this.slotNow();
    // Many small shares: their sum may lie a rounding error below a whole token.
    if (this.held + this.spare < 1 - 1e-9) return false;
    let wanted = 1;
    for (let age = SECONDS_KEPT - 1; age >= 0 && wanted > 0; age--) {
      const slot = (this.second + SECONDS_KEPT - age) % SECONDS_KEPT;
      const taken = Math.min(wanted, this.earned[slot]!);
      this.earned[slot] = this.earned[slot]! - taken;
      this.held -= taken;
      wanted -= taken;
    }
    this.spare = Math.max(0, this.spare - wanted);
    return true;
  }

  private slotNow(): number {
    const second = Math.floor(this.nowMs() / 1000);
    if (second !== this.second) {
      const passed = Math.min(SECONDS_KEPT, second - this.second);
      for (let i = 1; i <= passed; i++) this.expire((second - passed + i) % SECONDS_KEPT);
      this.second = second;
    }
    return second % SECONDS_KEPT;
  }

  private expire(slot: number): void {
    const left = this.earned[slot]!;
    this.earned[slot] = 0;
    this.held = Math.max(0, this.held - left);
    this.spare = Math.min(this.reserve, this.spare + left);
  }
}
