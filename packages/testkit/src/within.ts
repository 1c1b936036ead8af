import { setTimeout as delay } from 'node:timers/promises';

const STEPS = 100;

/**
 * What `work` resolves with; rejects when that takes more than so many milliseconds in which this process ran. They pass in a hundred
 * steps: where the machine lets the process stand still, it is late with its work and with one step alike. So a promise in
 * milliseconds about this process can be held to its figure on a busy machine.
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const decided = new AbortController();
  const late = async (): Promise<never> => {
    for (let step = 0; step < STEPS; step += 1) await delay(ms / STEPS, undefined, { signal: decided.signal });
    throw new Error(`took longer than ${ms} ms`);
  };
  const clock = late();
  clock.catch(() => undefined);
  try {
    return await Promise.race([work, clock]);
  } finally {
    decided.abort();
  }
}
