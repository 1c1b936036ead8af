import { OPERATIONS } from '@omg/domain';
import { z } from 'zod';

/**
 * What an edge leaves in Redis when it admits a request (`AdmitRequest.attempt`, at most 2 KiB): enough to book the request
 * if the edge vanishes. New fields are optional.
 */
export const attemptRecordSchema = z.object({
  v: z.literal(1),
  requestId: z.string().max(128),
  operation: z.enum(OPERATIONS),
  modelAlias: z.string().max(128),
  stream: z.boolean(),
  inputTokensEstimate: z.int().nonnegative(),
  /** Input and expected output, as held. */
  estimatedTokens: z.int().nonnegative().optional(),
  priceVersionId: z.string().optional(),
  provider: z.string().max(64).optional(),
  /** Of the tenant's budget; the key's window is the same one. */
  schedule: z.string(),
  windowId: z.string(),
  hasKeyBudget: z.boolean(),
});
export type AttemptRecord = z.infer<typeof attemptRecordSchema>;

/** `errorCode` of the event that the recorder makes from such a record. An edge's own event for the same attempt takes its place. */
export const ATTEMPT_LOST = 'attempt_lost';
