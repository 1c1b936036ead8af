import { usageBatchSchema, usageEventSchema, type DeadLetterReason, type UsageEvent } from '@omg/contracts';
import { isUuidV7 } from '@omg/domain';
import type { z } from 'zod';

/** What is wrong with a batch or with one of its events. `payload` is what an operator needs to see. */
export interface Poison {
  reason: DeadLetterReason;
  detail: string;
  payload: string;
  /** Tells the poisons of one batch apart. */
  name: string;
}

export interface DecodedBatch {
  batchId: string | undefined;
  events: UsageEvent[];
  poison: Poison[];
}

/** Counts and durations are INTEGER columns. */
const INTEGER_MAX = 2_147_483_647;

/**
 * Reads a batch message. Each event is judged alone, so that a poisonous one does not take its neighbours along; a batch
 * that cannot be read at all is one poison.
 */
export function decodeBatch(payload: string): DecodedBatch {
  const whole = (reason: DeadLetterReason, detail: string): DecodedBatch => ({
    batchId: undefined,
    events: [],
    poison: [{ reason, detail, payload, name: 'batch' }],
  });
  let json: unknown;
  try {
    json = JSON.parse(payload);
  } catch {
    return whole('malformed_batch', 'not JSON');
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version !== 1) return whole('unknown_version', `v: ${version}`);
  const batch = usageBatchSchema.safeParse(json);
  if (!batch.success) return whole('malformed_batch', issuesOf(batch.error));
  const decoded: DecodedBatch = { batchId: batch.data.batchId, events: [], poison: [] };
  batch.data.events.forEach((candidate, index) => {
    const event = decodeEvent(candidate);
    if ('reason' in event) decoded.poison.push({ ...event, payload: JSON.stringify(candidate), name: `event-${index}` });
    else decoded.events.push(event);
  });
  return decoded;
}

/** One event, or what is wrong with it. */
export function decodeEvent(candidate: unknown): UsageEvent | Pick<Poison, 'reason' | 'detail'> {
  const version = (candidate as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version !== 1) return { reason: 'unknown_version', detail: `v: ${version}` };
  const parsed = usageEventSchema.safeParse(candidate);
  if (!parsed.success) return { reason: 'invalid_event', detail: issuesOf(parsed.error) };
  const event = parsed.data;
  // Postgres tells ids in lower case.
  const id = event.id.toLowerCase();
  if (!isUuidV7(id)) return { reason: 'invalid_event', detail: 'id: not a UUIDv7' };
  const { inputTokens, outputTokens, cachedInputTokens = 0, cacheWriteTokens = 0, reasoningTokens = 0, images = 0 } = event.meters;
  const largest = Math.max(inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens, images, event.latencyMs, event.ttftMs ?? 0);
  if (largest > INTEGER_MAX) return { reason: 'invalid_event', detail: 'meters: out of range' };
  return { ...event, id, tenantId: event.tenantId.toLowerCase(), apiKeyId: event.apiKeyId.toLowerCase() };
}

/** Paths and codes, never values: the text goes into metrics' labels, logs and the dead letter's summary. */
function issuesOf(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'batch'}: ${issue.code}`)
    .join('; ');
}
