/**
 * A sliding window of 60 s in one-second buckets, in memory. A bucket counts until the whole of its second is more than
 * 60 s ago, so no 60 s ever hold more than the limit. Time is a parameter, in milliseconds of any monotone clock.
 */
export class SlidingWindow {
  private readonly counts = new Float64Array(SECONDS);
  private total = 0;
  /** The latest second that was looked at; older buckets than its window are cleared. */
  private at = -SECONDS;
  /** The latest second that was charged. */
  private chargedAt = -SECONDS;

  used(nowMs: number): number {
    this.advance(nowMs);
    return this.total;
  }

  /** Returns the second that was charged, for a later `correct`. */
  charge(nowMs: number, count: number): number {
    this.advance(nowMs);
    this.counts[this.at % SECONDS]! += count;
    this.total += count;
    this.chargedAt = this.at;
    return this.at;
  }

  /** Changes what was charged at a second. Once it has left the window, a surplus counts now and a deficit is forgotten. */
  correct(nowMs: number, second: number, count: number): void {
    this.advance(nowMs);
    if (second > this.at - SECONDS) {
      this.counts[second % SECONDS]! += count;
      this.total += count;
    } else if (count > 0) {
      this.charge(nowMs, count);
    }
  }

  /** Milliseconds until the sum is below the limit; 0 when it is. */
  waitMs(nowMs: number, limit: number): number {
    this.advance(nowMs);
    let left = this.total;
    for (let second = this.at - SECONDS + 1; left >= limit && second <= this.at; second++) {
      left -= this.counts[((second % SECONDS) + SECONDS) % SECONDS]!;
      if (left < limit) return (second + SECONDS) * 1000 - nowMs;
    }
    return left < limit ? 0 : SECONDS * 1000;
  }

  /** Milliseconds until the window is empty. */
  resetMs(nowMs: number): number {
    return Math.max(0, (this.chargedAt + SECONDS) * 1000 - nowMs);
  }

  private advance(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.at) return;
    const expired = Math.min(SECONDS, second - this.at);
    for (let i = 1; i <= expired; i++) {
      const slot = (this.at + i + SECONDS) % SECONDS;
      this.total -= this.counts[slot]!;
      this.counts[slot] = 0;
    }
    this.at = second;
  }
}

/** The present second and the 60 before it. */
const SECONDS = 61;
