import { usageBacklog, type NatsClient } from '@omg/storage';
import type { RecorderMetrics } from './metrics.js';

export interface BacklogParts {
  nats: NatsClient;
  metrics: RecorderMetrics;
  depths: Record<string, () => Promise<{ waiting: number; active: number; delayed: number }>>;
}

const EVERY_MS = 5_000;

/** Reads how much waits in stream and queues, for the metrics. What cannot be read keeps its last value. */
export class Backlog {
  private readonly timer: NodeJS.Timeout;
  private reading = false;
  /** Age of the oldest message that is not booked, as last read. */
  lagMs = 0;

  constructor(private readonly parts: BacklogParts) {
    this.timer = setInterval(() => void this.read(), EVERY_MS);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async read(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    const { depths } = this.parts;
    await Promise.allSettled([this.readStream(), ...Object.entries(depths).map(([queue, depth]) => this.readQueue(queue, depth))]);
    this.reading = false;
  }

  private async readStream(): Promise<void> {
    const { nats, metrics } = this.parts;
    if (!nats.current || !nats.isConnected) return;
    const backlog = await usageBacklog(nats.current);
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
