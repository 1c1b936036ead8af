import type { CancelSignal } from '../spec/cancellation.js';

/**
 * Waits for work that does not know of the call's abort, such as an SDK looking for credentials, only as long as the call
 * lives. The work itself goes on and may serve others.
 */
export function untilAborted<T>(work: Promise<T>, signal: CancelSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
