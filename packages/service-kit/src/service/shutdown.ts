import { endLog, type Logger } from '../logging/logger.js';

/** What long-running work listens to. */
export class Shutdown {
  private readonly stop = new AbortController();
  private readonly late = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  /** Aborted when the service starts to drain: take no new work. */
  get stopping(): AbortSignal {
    return this.stop.signal;
  }

  /** Aborted when the drain time is over: end at once, and record. */
  get deadline(): AbortSignal {
    return this.late.signal;
  }

  begin(drainMs: number): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.timer = setTimeout(() => this.late.abort(), drainMs);
    this.timer.unref();
  }

  end(): void {
    clearTimeout(this.timer);
    this.late.abort();
  }
}

/**
 * What signals and forgotten errors do to the process:
 *
 * - SIGTERM and SIGINT drain it; a second one ends it at once. SIGHUP reads the configuration again.
 * - An exception that nobody caught leaves unknown state behind: the service drains and exits with 1.
 * - A rejection that nobody awaited is a bug of one piece of work: it is logged, and the other requests go on.
 */
export function installProcessPolicy(options: { logger: Logger; close: () => Promise<void>; reload: () => Promise<unknown> }): void {
  const { logger } = options;
  let closing = false;
  const end = (code: number) => {
    if (closing) process.exit(1);
    closing = true;
    void options
      .close()
      .finally(() => endLog(logger))
      .finally(() => process.exit(code));
  };
  process.on('SIGTERM', () => end(0));
  process.on('SIGINT', () => end(0));
  process.on('SIGHUP', () => void options.reload());
  process.on('unhandledRejection', (reason) => logger.error({ err: reason }, 'unhandled rejection'));
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    if (!closing) end(1);
  });
}
