import { z } from 'zod';

/** What could not be booked, kept in the stream USAGE_DLQ until an operator has looked at it. */

export const DEAD_LETTER_REASONS = [
  /** Not JSON, or not a batch. */
  'malformed_batch',
  /** `v` is none that this recorder knows. */
  'unknown_version',
  /** The message is larger than a batch may be. */
  'too_large',
  /** One event does not fit its schema (a negative count, a bad id). */
  'invalid_event',
  /** Postgres refused the values of one event. */
  'refused_by_database',
  /** Older than the usage rows that are kept: it could have been booked before. */
  'too_old',
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

export const deadLetterSchema = z.object({
  v: z.literal(1),
  reason: z.enum(DEAD_LETTER_REASONS),
  /** What exactly was wrong: field paths and codes, never values. */
  detail: z.string().max(1_000),
  batchId: z.string().max(128).optional(),
  streamSequence: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  /** The event, or the message's beginning when it could not be read. */
  payload: z.string(),
  truncated: z.boolean(),
  atMs: z.int(),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;
