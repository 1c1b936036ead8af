import type { UsageBacklog } from '@omg/storage';
import type { RecorderMetrics } from './metrics.js';

export interface BacklogParts {
  stream: () => Promise<UsageBacklog>;
  metrics: RecorderMetrics;
  depths: Record<string, () => Promise<{ waiting: number; active: number; delayed: number }>>;
}

const EVERY_MS = 5_000;

/**
 * Reads how much waits in stream and queues, for the metrics. What cannot be read keeps its last value. Each is read by itself: while
 * Redis is away a queue does not answer, and that is when the stream's lag has to be told.
 */
export class Backlog {
  private readonly timer: NodeJS.Timeout;
  private readonly reading = new Set<string>();
  /** Age of the oldest message that is not booked, as last read. */
  lagMs = 0;

  constructor(private readonly parts: BacklogParts) {
    this.timer = setInterval(() => this.read(), EVERY_MS);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private read(): void {
    void this.readOnce('stream', () => this.readStream());
    for (const [queue, depth] of Object.entries(this.parts.depths)) void this.readOnce(`queue ${queue}`, () => this.readQueue(queue, depth));
  }

  private async readOnce(name: string, read: () => Promise<void>): Promise<void> {
    if (this.reading.has(name)) return;
    this.reading.add(name);
    await read().catch(() => undefined);
    this.reading.delete(name);
  }

  private async readStream(): Promise<void> {
    const { stream, metrics } = this.parts;
    const backlog = await stream();
    metrics.streamMessages.child('waiting').set(backlog.waiting);
    metrics.streamMessages.child('unacknowledged').set(backlog.unacknowledged);
    metrics.deadLettersStored.set(backlog.deadLetters);
    this.lagMs = backlog.oldestAtMs === undefined ? 0 : Math.max(0, Date.now() - backlog.oldestAtMs);
    metrics.lag.set(this.lagMs / 1_000);
  }

  private async readQueue(queue: string, depth: () => Promise<{ waiting: number; active: number; delayed: number }>): Promise<void> {
    const jobs = await depth();
    for (const state of ['waiting', 'active', 'delayed'] as const) this.parts.metrics.queueJobs.child(queue, state).set(jobs[state]);
  }
}
