const FIRST_MS = 50;
const MAX_MS = 2000;

/** Pause before the next try, by the number of those that failed: exponential with jitter, so that a thousand clients do not come back in one moment. */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(FIRST_MS * 2 ** Math.min(attempt, 10), MAX_MS);
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}
