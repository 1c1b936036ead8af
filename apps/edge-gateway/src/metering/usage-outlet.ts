import type { EncodedUsageBatch, EncodedUsageEvent } from '@omg/contracts';

/** The bus side: publishes one batch and resolves with its acknowledgement. */
export type PublishBatch = (batch: EncodedUsageBatch) => Promise<void>;

/** The last resort when Redis and the bus are both away. Rejects when the disk refuses. */
export interface Spool {
  append(event: EncodedUsageEvent): Promise<void>;
}

export interface UsageOutletOptions {
  edgeId: string;
  /** Longest time an event waits for company. */
  lingerMs: number;
  batchEventsMax: number;
  /** Batches that wait for their acknowledgement. */
  inFlightMax: number;
  /** Events in memory beyond that; what overflows is still in Redis and is booked from there by the reaper. */
  queueEventsMax: number;
  publishTimeoutMs: number;
  /** After the spool refused an event: how long new requests are refused before the next try. */
  refusalMs: number;
  retryMs: number;
}

/** A message may have 1 MiB, and a character up to three bytes. */
const BATCH_CHARS_MAX = 256 * 1024;

interface Pending {
  event: EncodedUsageEvent;
  /** Set for events that are nowhere else yet. */
  settled?: { resolve: () => void; reject: (error: unknown) => void };
}

/**
 * Brings usage events to the bus in small batches, off the request's path.
 *
 * Two ways in: `enqueue` for events whose END is already in Redis (losing the copy here costs nothing but time), and
 * `publishDurably` for events that exist nowhere else: it resolves once the bus has acknowledged them or the spool file
 * has them, and turns new requests away when neither would.
 */
export class UsageOutlet {
  private queue: Pending[] = [];
  private timer: NodeJS.Timeout | undefined;
  private inFlight = 0;
  private refusingUntil = 0;
  private closed = false;
  private readonly idleWaiters: (() => void)[] = [];
  /** Events dropped from memory because the bus was away for long; they are booked from Redis. */
  overflowed = 0;

  constructor(
    private readonly publish: PublishBatch,
    private readonly spool: Spool,
    private readonly newBatchId: () => string,
    private readonly options: UsageOutletOptions,
    private readonly monotonicMs: () => number = () => performance.now(),
  ) {}

  /** False: usage could not be kept anywhere a moment ago, so no new call may be made. */
  get accepting(): boolean {
    return this.monotonicMs() >= this.refusingUntil;
  }

  get queued(): number {
    return this.queue.length;
  }

  enqueue(event: EncodedUsageEvent): void {
    if (this.queue.length >= this.options.queueEventsMax) {
      this.overflowed++;
      return;
    }
    this.push({ event });
  }

  async publishDurably(event: EncodedUsageEvent): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.queue.length >= this.options.queueEventsMax) reject(new Error('usage queue is full'));
        else this.push({ event, settled: { resolve, reject } });
      });
    } catch {
      try {
        await this.spool.append(event);
      } catch (error) {
        this.refusingUntil = this.monotonicMs() + this.options.refusalMs;
        throw error;
      }
    }
  }

  /** Sends what is waiting and resolves when nothing is on its way, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    this.send();
    if (this.inFlight === 0 && this.queue.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.idleWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Stops trying; what is left in memory is booked from Redis. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private later(delayMs: number): void {
    if (!this.closed) this.timer ??= setTimeout(() => this.send(), delayMs);
  }

  private push(pending: Pending): void {
    this.queue.push(pending);
    if (this.queue.length >= this.options.batchEventsMax) this.send();
    else this.later(this.options.lingerMs);
  }

  private send(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    while (this.queue.length > 0 && this.inFlight < this.options.inFlightMax) {
      const batch = this.nextBatch();
      this.inFlight++;
      void this.sendBatch(batch);
    }
  }

  /** The oldest events that fit into one message: a batch that the bus refuses for its size would be sent again for ever. */
  private nextBatch(): Pending[] {
    const { queue } = this;
    const most = Math.min(queue.length, this.options.batchEventsMax);
    let count = 1;
    for (let chars = queue[0]!.event.json.length; count < most; count++) {
      chars += queue[count]!.event.json.length;
      if (chars > BATCH_CHARS_MAX) break;
    }
    return queue.splice(0, count);
  }

  private async sendBatch(batch: Pending[]): Promise<void> {
    const message: EncodedUsageBatch = { batchId: this.newBatchId(), edgeId: this.options.edgeId, events: batch.map((p) => p.event) };
    try {
      await withTimeout(this.publish(message), this.options.publishTimeoutMs);
      for (const pending of batch) pending.settled?.resolve();
    } catch (error) {
      for (const pending of batch) pending.settled?.reject(error);
      this.requeue(batch.filter((p) => p.settled === undefined));
    } finally {
      this.inFlight--;
      if (this.queue.length === 0 && this.inFlight === 0) for (const waiter of this.idleWaiters.splice(0)) waiter();
      else if (this.queue.length > 0) this.later(this.options.lingerMs);
    }
  }

  /** A batch that was not acknowledged may have arrived: rows are inserted once per event id, so sending it again is safe. */
  private requeue(batch: Pending[]): void {
    const room = Math.max(0, this.options.queueEventsMax - this.queue.length);
    this.overflowed += Math.max(0, batch.length - room);
    this.queue.unshift(...batch.slice(0, room));
    this.later(this.options.retryMs);
  }
}

async function withTimeout(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the bus did not acknowledge in time')), timeoutMs);
  });
  try {
    await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
