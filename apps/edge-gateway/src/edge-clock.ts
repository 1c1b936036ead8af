/**
 * Wall-clock time as Redis tells it. Windows, ids and expiries must agree between edges, whatever a host's own clock
 * says; between two readings the monotonic clock carries the time on.
 */
export class EdgeClock {
  private offsetMs: number;

  constructor(private readonly monotonicMs: () => number = () => performance.now()) {
    this.offsetMs = Date.now() - this.monotonicMs();
  }

  nowMs(): number {
    return Math.floor(this.monotonicMs() + this.offsetMs);
  }

  /** Reads the server's time (milliseconds); half the round trip is taken as its age. */
  async synchronize(readServerMs: () => Promise<number>): Promise<void> {
    const before = this.monotonicMs();
    const serverMs = await readServerMs();
    const after = this.monotonicMs();
    this.offsetMs = serverMs + (after - before) / 2 - after;
  }
}
