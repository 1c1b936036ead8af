import { backoffMs } from '@omg/storage';
import { setTimeout as delay } from 'node:timers/promises';

export interface RetryOptions {
  /** Ends the waiting; the last error is thrown then. */
  signal: AbortSignal;
  onWait?: (error: unknown, pauseMs: number) => void;
  /** Errors that another try cannot heal. */
  isFinal?: (error: unknown) => boolean;
}

/** Repeats `work` until it succeeds, with growing pauses. */
export async function persistently<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (options.isFinal?.(error) || options.signal.aborted) throw error;
      const pauseMs = backoffMs(attempt);
      options.onWait?.(error, pauseMs);
      await delay(pauseMs, undefined, { signal: options.signal }).catch(() => undefined);
      if (options.signal.aborted) throw error;
    }
  }
}
