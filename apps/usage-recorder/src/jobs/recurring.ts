import type { Logger } from '@omg/service-kit';
import type { LedgerDatabase } from '@omg/database';
import type { RecorderMetrics } from '../metrics.js';

export interface RecurringJob {
  name: string;
  everyMs: number;
  /** First run after the start; jittered like the others. */
  firstAfterMs: number;
  run: (signal: AbortSignal) => Promise<unknown>;
}

/** Runs each job from time to time, one recorder at a time. A job that fails is logged, counted and tried again in its turn. */
export class RecurringJobs {
  private readonly stopping = new AbortController();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly running = new Set<Promise<void>>();

  constructor(
    private readonly parts: { database: LedgerDatabase; metrics: RecorderMetrics; log: Logger },
    jobs: readonly RecurringJob[],
  ) {
    for (const job of jobs) this.schedule(job, job.firstAfterMs);
  }

  async close(): Promise<void> {
    this.stopping.abort();
    for (const timer of this.timers.values()) clearTimeout(timer);
    await Promise.all(this.running);
  }

  private schedule(job: RecurringJob, afterMs: number): void {
    if (this.stopping.signal.aborted) return;
    // Replicas that were started together must not look at the same moment.
    const timer = setTimeout(() => this.start(job), afterMs * (0.9 + Math.random() / 5));
    timer.unref();
    this.timers.set(job.name, timer);
  }

  private start(job: RecurringJob): void {
    const run = this.run(job).finally(() => {
      this.running.delete(run);
      this.schedule(job, job.everyMs);
    });
    this.running.add(run);
  }

  private async run({ name, run }: RecurringJob): Promise<void> {
    const { database, metrics, log } = this.parts;
    try {
      const led = await database.exclusively(`recorder job ${name}`, async () => {
        await run(this.stopping.signal);
        return true;
      });
      if (led) metrics.jobSucceeded(name, Date.now());
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      metrics.jobFailures.child(name).inc();
      log.warn({ err: error, job: name }, 'recurring job failed');
    }
  }
}
