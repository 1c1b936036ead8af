import type { Logger } from '../logging/logger.js';
import { withDeadline } from './deadline.js';

interface Closer {
  name: string;
  close: () => unknown;
}

/**
 * What must be closed, registered right after it was opened and closed in reverse order. A closer that fails or hangs does
 * not keep the others from running.
 */
export class Lifecycle {
  private readonly closers: Closer[] = [];
  private closing: Promise<string[]> | undefined;

  constructor(private readonly logger: Logger) {}

  onClose(name: string, close: () => unknown): void {
    if (this.closing) throw new Error(`${name} was opened while the service is closing`);
    this.closers.push({ name, close });
  }

  /** Closes everything within the deadline. Resolves with the names of those that failed or were too slow; idempotent. */
  close(deadlineMs: number): Promise<string[]> {
    this.closing ??= this.run(Date.now() + deadlineMs);
    return this.closing;
  }

  private async run(endMs: number): Promise<string[]> {
    const failed: string[] = [];
    for (const closer of this.closers.toReversed()) {
      try {
        // The last ones get a moment even when the first used up the time: a socket closes in no time.
        await withDeadline(Promise.resolve().then(closer.close), Math.max(endMs - Date.now(), 100));
      } catch (error) {
        failed.push(closer.name);
        this.logger.error({ err: error, closer: closer.name }, 'could not be closed');
      }
    }
    return failed;
  }
}
