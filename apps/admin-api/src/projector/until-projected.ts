import { setTimeout as delay } from 'node:timers/promises';
import { newestSeq, outboxHolds, type OutboxDatabase } from './outbox.queries.js';

const PAUSE_FIRST_MS = 2;
const PAUSE_MAX_MS = 20;

/**
 * Waits until what the outbox holds now has reached the bucket, whichever replica projects it, and at most `timeoutMs`:
 * whoever is told that his key was made can use it. It never fails, since the change itself is done.
 */
export async function untilProjected(db: OutboxDatabase, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  try {
    const newest = await newestSeq(db);
    if (newest === undefined) return;
    for (let pauseMs = PAUSE_FIRST_MS; performance.now() < deadline; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      await delay(pauseMs);
      if (!(await outboxHolds(db, newest))) return;
    }
  } catch {
    // Postgres went away after the commit: the projector finds the row when it is back.
  }
}
