import { Logger } from '@nestjs/common';

/**
 * Runs a piece of work at the start and then at an interval, never twice at once in this process. A run that fails is logged
 * and left to the next one.
 */
export class RecurringRun {
  private readonly logger: Logger;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(
    name: string,
    private readonly everyMs: number,
    private readonly work: () => Promise<unknown>,
  ) {
    this.logger = new Logger(name);
  }

  /** For long work: it should end at its next step. */
  get isStopped(): boolean {
    return this.stopped;
  }

  start(): void {
    this.timer = setInterval(() => void this.tick(), this.everyMs);
    this.timer.unref();
    void this.tick();
  }

  /** Resolves when the run under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }

  private async tick(): Promise<void> {
    if (this.running || this.stopped) return;
    this.running = this.work().then(
      () => undefined,
      (error: unknown) => this.logger.warn(`the run failed: ${error instanceof Error ? error.name : 'unknown'}`),
    );
    await this.running;
    this.running = undefined;
  }
}
