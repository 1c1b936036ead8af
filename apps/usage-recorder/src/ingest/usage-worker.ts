import type { DeadLetter, UsageJob } from '@omg/contracts';
import type { WorkerJob } from '@omg/storage/queues';
import type { Bookkeeper, Entry } from './bookkeeper.js';
import { decodeBatch, type Poison } from './decode-batch.js';
import type { HeldMessages } from './held-messages.js';

/** Beginning of a message that could not be read; enough to see what it was. */
const PAYLOAD_SHOWN_MAX = 65_536;

export interface UsageWorkerParts {
  bookkeeper: Pick<Bookkeeper, 'book'>;
  held: Pick<HeldMessages, 'running' | 'returned' | 'done'>;
  /** Resolves once the letter is stored. */
  deadLetter: (id: string, letter: DeadLetter) => Promise<void>;
  acknowledge: (ackSubject: string) => void;
  nowMs: () => number;
}

/**
 * One batch: book what can be booked, dead-letter the rest, and only then take the message out of the stream. Rejects when
 * this could not be done now; the job is then done again, from the start, by any recorder.
 */
export async function processUsageJob(parts: UsageWorkerParts, job: WorkerJob<UsageJob>): Promise<void> {
  const { ackSubject, streamSequence } = job.data;
  parts.held.running(streamSequence, job.id, ackSubject);
  try {
    await bookMessage(parts, job.data);
  } catch (error) {
    parts.held.returned(streamSequence);
    throw error;
  }
  parts.acknowledge(ackSubject);
  parts.held.done(streamSequence);
}

async function bookMessage(parts: UsageWorkerParts, { payload, streamSequence }: UsageJob): Promise<void> {
  const batch = decodeBatch(payload);
  const entries: Entry[] = batch.events.map((event) => ({ event }));
  await parts.bookkeeper.book(entries);
  const refused: Poison[] = entries.flatMap(({ event, refused: why }) => (why ? [{ ...why, payload: JSON.stringify(event), name: event.id }] : []));
  for (const poison of [...batch.poison, ...refused]) {
    const letter = deadLetterOf(poison, { batchId: batch.batchId, streamSequence, atMs: parts.nowMs() });
    await parts.deadLetter(`${streamSequence}-${poison.name}`, letter);
  }
}

export function deadLetterOf(
  poison: Pick<Poison, 'reason' | 'detail' | 'payload'>,
  source: { batchId: string | undefined; streamSequence: number; atMs: number },
): DeadLetter {
  const bytes = Buffer.byteLength(poison.payload);
  return {
    v: 1,
    reason: poison.reason,
    detail: poison.detail.slice(0, 1_000),
    ...(source.batchId === undefined ? {} : { batchId: source.batchId }),
    streamSequence: source.streamSequence,
    bytes,
    payload: poison.payload.slice(0, PAYLOAD_SHOWN_MAX),
    truncated: poison.payload.length > PAYLOAD_SHOWN_MAX,
    atMs: source.atMs,
  };
}
