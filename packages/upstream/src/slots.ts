interface Waiter {
  start: () => void;
}

/**
 * A bounded number of places with a bounded, fair queue before them. The pool's own queue cannot give up a request that its
 * caller left, so it never gets more than it has sockets for.
 */
export class Slots {
  private used = 0;
  private readonly waiters = new Set<Waiter>();

  constructor(
    private readonly max: number,
    private readonly waitersMax: number,
  ) {}

  get running(): number {
    return this.used;
  }

  get waiting(): number {
    return this.waiters.size;
  }

  /**
   * Calls `start` now or when a place is free. Returns a function that leaves the queue (no effect once started), or
   * undefined when the queue is full.
   */
  take(start: () => void): (() => void) | undefined {
    if (this.used < this.max) {
      this.used += 1;
      start();
      return () => undefined;
    }
    if (this.waiters.size >= this.waitersMax) return undefined;
    const waiter: Waiter = { start };
    this.waiters.add(waiter);
    return () => this.waiters.delete(waiter);
  }

  give(): void {
    const next = this.waiters.values().next();
    if (next.done) {
      this.used -= 1;
      return;
    }
    this.waiters.delete(next.value);
    next.value.start();
  }
}
