import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 120 000: far above what anything takes, since a test that waits for nothing must not fail on a machine that is only slow. */
  timeoutMs?: number;
  /** Default 20. */
  intervalMs?: number;
  /** What is awaited, for the error's text. */
  what?: string;
}

/**
 * Polls until `probe` returns something truthy and resolves with it. A throwing probe counts as "not yet"; its last error is the
 * cause of the timeout's.
 */
export async function waitFor<T>(probe: () => T | Promise<T>, options: WaitOptions = {}): Promise<NonNullable<T>> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() >= deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${options.what ?? 'a condition'}`, { cause: lastError });
    await delay(options.intervalMs ?? 20);
  }
}
