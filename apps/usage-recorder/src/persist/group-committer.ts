/**
 * Puts what arrives at the same time into few commits. Batches come in small messages; Postgres likes large transactions. While a
 * group is being committed the next one gathers, so the size of the groups follows the load without a waiting time.
 *
 * Two groups under way never hold items of the same lane. All events of a tenant are in one lane, so the transactions wait for no row
 * of each other; without lanes nearly every two of them would have a tenant in common.
 */
export interface GroupCommitterOptions<T> {
  /** A group takes further members until it holds this many items. */
  itemsMax: number;
  /**
   * A lane with so many items gets a group of its own. Those with fewer share one, and while other groups are under way they wait for
   * more: so small messages cost few transactions.
   */
  itemsMin: number;
  /** How long they wait at most, from one group's end to the next. */
  waitMsMax: number;
  nowMs: () => number;
  /** Groups under way at once, at most. */
  lanes: number;
  /** A whole number from 0 on, of which the lane is made. */
  laneOf: (item: T) => number;
}

/** The items of a submission that are of one lane. */
interface Part<T> {
  items: T[];
  done: (error?: unknown) => void;
}

interface Lane<T> {
  waiting: Part<T>[];
  items: number;
  /** When the first of them came. */
  sinceMs: number;
  isBusy: boolean;
}

export class GroupCommitter<T> {
  private readonly lanes: Lane<T>[];
  private running = 0;

  constructor(
    private readonly commit: (items: T[]) => Promise<void>,
    private readonly options: GroupCommitterOptions<T>,
  ) {
    this.lanes = Array.from({ length: options.lanes }, () => ({ waiting: [], items: 0, sinceMs: 0, isBusy: false }));
  }

  /** Resolves when all the items are committed. Bounded by its callers: each waits for its own. */
  submit(items: readonly T[]): Promise<void> {
    if (items.length === 0) return Promise.resolve();
    const byLane = Map.groupBy(items, (item) => this.options.laneOf(item) % this.lanes.length);
    return new Promise((resolve, reject) => {
      let left = byLane.size;
      const done = (error?: unknown): void => {
        if (error !== undefined) reject(error);
        else if (--left === 0) resolve();
      };
      for (const [index, own] of byLane) {
        const lane = this.lanes[index]!;
        if (lane.items === 0) lane.sinceMs = this.options.nowMs();
        lane.waiting.push({ items: own, done });
        lane.items += own.length;
      }
      // Everything that arrives in this turn of the event loop belongs together.
      setImmediate(() => this.start());
    });
  }

  private start(): void {
    const { itemsMin, waitMsMax, nowMs } = this.options;
    const free = this.lanes.filter((lane) => !lane.isBusy && lane.items > 0);
    const wasIdle = this.running === 0;
    for (const lane of free) if (lane.items >= itemsMin) void this.run([lane]);
    const small = free.filter((lane) => !lane.isBusy);
    if (small.length > 0 && (wasIdle || small.some((lane) => nowMs() - lane.sinceMs >= waitMsMax))) void this.run(small);
  }

  private async run(lanes: readonly Lane<T>[]): Promise<void> {
    const parts: Part<T>[] = [];
    let size = 0;
    const taken = lanes.filter((lane) => {
      const before = size;
      while (lane.waiting.length > 0 && (size === 0 || size + lane.waiting[0]!.items.length <= this.options.itemsMax)) {
        const part = lane.waiting.shift()!;
        lane.items -= part.items.length;
        size += part.items.length;
        parts.push(part);
      }
      return size > before;
    });
    for (const lane of taken) Object.assign(lane, { isBusy: true, sinceMs: this.options.nowMs() });
    this.running += 1;
    let failure: unknown;
    try {
      await this.commit(parts.flatMap((part) => part.items));
    } catch (error) {
      failure = error ?? new Error('a commit failed');
    }
    for (const part of parts) part.done(failure);
    for (const lane of taken) lane.isBusy = false;
    this.running -= 1;
    this.start();
  }
}
