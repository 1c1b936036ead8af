import type { DeadLetter } from '@omg/contracts';
import type { Logger } from '@omg/service-kit';
import { RedisUnavailableError, type LedgerStore, type StoredAttempt } from '@omg/storage';
import type { Bookkeeper, Entry } from '../ingest/bookkeeper.js';
import { decodeEvent } from '../ingest/decode-batch.js';
import { deadLetterOf } from '../ingest/usage-worker.js';
import type { RecorderMetrics } from '../metrics.js';
import { reapedEvent } from './reaped-event.js';

/**
 * Books what nobody booked. Two kinds of attempts stay behind in Redis:
 *
 * - open ones whose lease ended: their edge was killed. `endExpired` decides in Redis, in one step, between the reaper and
 *   an edge that settles after all; who comes first is booked. The hold becomes the cost, marked as an estimate.
 * - ended ones that nobody released: the END is in Redis, but its message never reached Postgres, or the recorder died
 *   between commit and release. They are booked exactly; a row that is there already is not booked again.
 *
 * One recorder at a time does this; two would only do the same work twice.
 */
export interface ReaperParts {
  store: Pick<LedgerStore, 'activeTenants' | 'dueAttempts' | 'expiredAttempts' | 'endedAttempts' | 'endExpired' | 'release'>;
  bookkeeper: Pick<Bookkeeper, 'book'>;
  deadLetter: (id: string, letter: DeadLetter) => Promise<void>;
  metrics: RecorderMetrics;
  log: Logger;
}

export interface ReaperOptions {
  /** How long after its lease (or its end) an attempt is left alone. */
  graceMs: number;
  /** The same while the stream still holds messages that are older: they will be booked from there. */
  backlogGraceMs: number;
  /** Age of the oldest message that is not booked. */
  backlogMs: () => number;
  nowMs: () => number;
  /** Tenants whose attempts could not be booked in the last run: kept between runs, and looked at last. */
  failed: Set<string>;
}

const ATTEMPTS_AT_ONCE = 256;
const TENANTS_AT_ONCE = 64;
/** Per tenant and run; what is left waits for the next run. */
const ROUNDS_MAX = 40;

export interface ReaperResult {
  expired: number;
  ended: number;
}

/**
 * A tenant whose attempts cannot be booked does not keep the others from theirs: it is logged, tried again in the next run, after
 * all others, and the run rejects at its end all the same. Only a store that is away ends a run early.
 */
export async function reap(parts: ReaperParts, options: ReaperOptions): Promise<ReaperResult> {
  const result = { expired: 0, ended: 0 };
  const failures: unknown[] = [];
  const active = await parts.store.activeTenants();
  const { failed } = options;
  const tenants = [...active.filter((id) => !failed.has(id)), ...active.filter((id) => failed.has(id))];
  // Again from nothing: those that fail are noted anew.
  failed.clear();
  for await (const { tenantId, look } of looks(parts.store, tenants, options)) {
    if (look.status === 'fulfilled' && look.value === 0) continue;
    try {
      if (look.status === 'rejected') throw look.reason;
      await bothKinds(
        async () => (result.expired += await drain(() => reapExpired(parts, options, tenantId))),
        async () => (result.ended += await drain(() => reapEnded(parts, options, tenantId))),
      );
    } catch (error) {
      parts.log.error({ tenantId, err: error }, 'attempts of a tenant could not be booked');
      failures.push(error);
      failed.add(tenantId);
      if (isAway(error)) break;
    }
  }
  if (result.expired + result.ended > 0) parts.log.warn(result, 'attempts were booked that their edge or the bus had lost');
  if (failures.length > 0) throw failures[0];
  return result;
}

/** Most tenants have nothing to book, which is asked of many of them at once. */
async function* looks(store: ReaperParts['store'], tenants: readonly string[], options: ReaperOptions) {
  for (let i = 0; i < tenants.length; i += TENANTS_AT_ONCE) {
    const group = tenants.slice(i, i + TENANTS_AT_ONCE);
    const found = await Promise.allSettled(group.map((tenantId) => store.dueAttempts(tenantId, graceOf(options))));
    for (const [at, look] of found.entries()) yield { tenantId: group[at]!, look };
  }
}

/** An error reply is about one tenant's data; no answer is about the store. */
function isAway(error: unknown): boolean {
  return error instanceof RedisUnavailableError && error.failure !== 'reply';
}

/** The second kind is tried whatever became of the first. */
async function bothKinds(first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<void> {
  const outcome = await first().then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (outcome && isAway(outcome.error)) throw outcome.error;
  await second();
  if (outcome) throw outcome.error;
}

/** Repeats full rounds, so that a large backlog does not wait for the next run. */
async function drain(round: () => Promise<{ found: number; booked: number }>): Promise<number> {
  let total = 0;
  for (let i = 0; i < ROUNDS_MAX; i++) {
    const { found, booked } = await round();
    total += booked;
    if (found < ATTEMPTS_AT_ONCE || booked === 0) break;
  }
  return total;
}

/**
 * While the stream holds old messages, what is missing is most likely among them. For an open attempt that is the difference between
 * an exact row and an estimate: its edge could not settle in Redis while that was away, and told the bus.
 */
function graceOf({ backlogMs, graceMs, backlogGraceMs }: ReaperOptions): number {
  return backlogMs() > graceMs ? backlogGraceMs : graceMs;
}

async function reapExpired({ store, bookkeeper, metrics, ...parts }: ReaperParts, options: ReaperOptions, tenantId: string) {
  const attempts = await store.expiredAttempts(tenantId, graceOf(options), ATTEMPTS_AT_ONCE);
  const entries: Entry[] = [];
  for (const attempt of attempts) {
    const event = reapedEvent(attempt);
    if (!event) await discard({ store, metrics, ...parts }, attempt, options.nowMs());
    else if (await store.endExpired(tenantId, attempt.attemptId, JSON.stringify(event))) entries.push({ event });
  }
  await bookkeeper.book(entries);
  metrics.reapedExpired.inc(entries.length);
  return { found: attempts.length, booked: entries.length };
}

async function reapEnded({ store, bookkeeper, metrics, ...parts }: ReaperParts, options: ReaperOptions, tenantId: string) {
  const attempts = await store.endedAttempts(tenantId, graceOf(options), ATTEMPTS_AT_ONCE);
  const entries: Entry[] = [];
  for (const attempt of attempts) {
    const event = decodeStored(attempt.payload);
    // The event names its attempt; anything else would leave the attempt behind for ever.
    if (!event || event.id !== attempt.attemptId) await discard({ store, metrics, ...parts }, attempt, options.nowMs());
    else entries.push({ event });
  }
  await bookkeeper.book(entries);
  for (const { event, refused } of entries) {
    if (refused)
      await discard(
        { store, metrics, ...parts },
        attempts.find(({ attemptId }) => attemptId === event.id)!,
        options.nowMs(),
        refused,
      );
  }
  metrics.reapedEnded.inc(entries.length);
  return { found: attempts.length, booked: entries.length };
}

function decodeStored(payload: string) {
  try {
    const event = decodeEvent(JSON.parse(payload));
    return 'reason' in event ? undefined : event;
  } catch {
    return undefined;
  }
}

/** What cannot be booked must not hold a part of the budget for ever: it is kept as a dead letter and released. */
async function discard(
  { store, deadLetter }: Pick<ReaperParts, 'store' | 'deadLetter' | 'metrics' | 'log'>,
  attempt: StoredAttempt,
  nowMs: number,
  why: Pick<DeadLetter, 'reason' | 'detail'> = { reason: 'invalid_event', detail: 'an attempt in Redis that cannot be read' },
): Promise<void> {
  const letter = deadLetterOf({ ...why, payload: attempt.payload }, { batchId: undefined, streamSequence: 0, atMs: nowMs });
  await deadLetter(`attempt-${attempt.attemptId}`, letter);
  await store.release(attempt.tenantId, [attempt.attemptId], []);
}
