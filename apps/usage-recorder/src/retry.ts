import { setTimeout as delay } from 'node:timers/promises';

export interface RetryOptions {
  /** Ends the waiting; the last error is thrown then. */
  signal: AbortSignal;
  onWait?: (error: unknown, pauseMs: number) => void;
  /** Errors that another try cannot heal. */
  isFinal?: (error: unknown) => boolean;
}

const PAUSE_FIRST_MS = 50;
const PAUSE_MAX_MS = 2_000;

/** Repeats `work` until it succeeds, with growing pauses (jittered, so that replicas do not come back in one moment). */
export async function persistently<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (options.isFinal?.(error) || options.signal.aborted) throw error;
      const ceiling = Math.min(PAUSE_FIRST_MS * 2 ** Math.min(attempt, 10), PAUSE_MAX_MS);
      const pauseMs = Math.round(ceiling * (0.5 + Math.random() / 2));
      options.onWait?.(error, pauseMs);
      await delay(pauseMs, undefined, { signal: options.signal }).catch(() => undefined);
      if (options.signal.aborted) throw error;
    }
  }
}
