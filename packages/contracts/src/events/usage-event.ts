import { OPERATIONS } from '@omg/domain';
import { z } from 'zod';

/**
 * The END of one request as it leaves the edge: what was used, what it cost and how that is known.
 * Amounts are nano-USD as decimal text, since JSON has no 64-bit integers. New fields are optional; a golden file per
 * version keeps old payloads readable.
 */

const count = z.int().nonnegative();
export const nanoText = z.string().regex(/^\d{1,18}$/);

export const metersSchema = z.object({
  inputTokens: count,
  outputTokens: count,
  cachedInputTokens: count.optional(),
  cacheWriteTokens: count.optional(),
  reasoningTokens: count.optional(),
  images: count.optional(),
  imageSize: z.string().max(32).optional(),
  imageQuality: z.string().max(32).optional(),
  audioSeconds: z.number().nonnegative().optional(),
  characters: count.optional(),
});

/**
 * What a provider billed for one attempt. Told where an attempt other than the last one was billed; the event's own meters and
 * cost are the sums then, so that a reader who does not know this part books the right amount in one row.
 */
export const attemptUsageSchema = z.object({
  /** Key of the attempt's usage row, of the event's time. Absent for the last billed attempt, whose row has the event's id. */
  id: z.uuid().optional(),
  providerModel: z.string().max(256).optional(),
  meters: metersSchema,
  usageSource: z.enum(['provider', 'estimate']),
  priceVersionId: z.string().optional(),
  costNano: nanoText.nullable(),
  costComponents: z.record(z.string(), nanoText).optional(),
});

/** The most attempts of one request. */
export const ATTEMPTS_MAX = 32;

/** One upstream try of a request, the last one included. */
export const attemptSchema = z.object({
  routeId: z.string(),
  provider: z.string(),
  status: z.int(),
  errorCode: z.string().optional(),
  latencyMs: z.number().nonnegative(),
  usage: attemptUsageSchema.optional(),
});

export type AttemptEvent = z.infer<typeof attemptSchema>;

export const usageEventSchema = z.object({
  v: z.literal(1),
  /** UUIDv7 of the admission: primary key of the rows and name of the partition. */
  id: z.uuid(),
  /** `x-request-id`. */
  requestId: z.string().max(128),
  tenantId: z.uuid(),
  apiKeyId: z.uuid(),
  operation: z.enum(OPERATIONS),
  modelAlias: z.string().max(128),
  routeId: z.string().optional(),
  /** Slug of the provider; where none was called who refused (`budget`, `limiter`, `router`), or `none`. */
  provider: z.string().max(64),
  providerModel: z.string().max(256).optional(),
  stream: z.boolean(),
  /** What the client got; 499 when it left. */
  status: z.int(),
  errorCode: z.string().max(64).optional(),
  /** Whole call; for streams also see ttftMs. */
  latencyMs: z.number().nonnegative(),
  ttftMs: z.number().nonnegative().optional(),
  attempts: z.array(attemptSchema).max(ATTEMPTS_MAX).optional(),
  /** All billed attempts together. */
  meters: metersSchema,
  usageSource: z.enum(['provider', 'estimate', 'none']),
  priceVersionId: z.string().optional(),
  /** Null: a price that this usage needs is unknown. */
  costNano: nanoText.nullable(),
  costComponents: z.record(z.string(), nanoText).optional(),
  holdNano: nanoText.optional(),
  /** Budget windows of the admission, so that a late event is booked where it was held. */
  windows: z.object({ schedule: z.string(), tenant: z.string(), key: z.string().optional() }).optional(),
  idempotencyKey: z.string().max(255).optional(),
  traceparent: z.string().max(64).optional(),
  endedAtMs: z.int(),
});

export type UsageEvent = z.infer<typeof usageEventSchema>;

/** One JetStream message. `batchId` is also the message id and names the BullMQ job. */
export const usageBatchSchema = z.object({
  v: z.literal(1),
  batchId: z.string().min(8).max(64),
  edgeId: z.string().max(64),
  // Validated one by one, so that a poisonous event is dead-lettered alone and its neighbours are kept.
  events: z.array(z.unknown()).max(1024),
});

/** An event as it travels: serialised once, by the edge that made it. */
export interface EncodedUsageEvent {
  readonly json: string;
  readonly traceparent: string | undefined;
}

export interface EncodedUsageBatch {
  batchId: string;
  edgeId: string;
  events: readonly EncodedUsageEvent[];
}

export function encodeUsageEvent(event: UsageEvent): EncodedUsageEvent {
  return { json: JSON.stringify(event), traceparent: event.traceparent };
}

/** The message that `usageBatchSchema` reads, put together from events that are JSON already. */
export function encodeUsageBatch({ batchId, edgeId, events }: EncodedUsageBatch): string {
  return `{"v":1,"batchId":${JSON.stringify(batchId)},"edgeId":${JSON.stringify(edgeId)},"events":[${events.map((event) => event.json).join(',')}]}`;
}
