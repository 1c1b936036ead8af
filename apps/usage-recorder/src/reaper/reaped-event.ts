import { ATTEMPT_LOST, attemptRecordSchema, readDocument, type UsageEvent } from '@omg/contracts';
import { isUuidV7, uuidV7UnixMs } from '@omg/domain';
import type { StoredAttempt } from '@omg/storage';

/** What the client of a vanished edge got: nothing more. */
const CLIENT_GONE = 499;

/**
 * The usage event of an attempt whose edge vanished: nobody knows what was consumed, so it is booked with what was held,
 * marked as an estimate. Undefined when the attempt cannot be read.
 */
export function reapedEvent(attempt: StoredAttempt): UsageEvent | undefined {
  const record = readDocument(attemptRecordSchema, attempt.payload);
  if (!record || !isUuidV7(attempt.attemptId)) return undefined;
  const costNano = String(attempt.heldNano);
  const startMs = uuidV7UnixMs(attempt.attemptId);
  return {
    v: 1,
    id: attempt.attemptId,
    requestId: record.requestId,
    tenantId: attempt.tenantId,
    apiKeyId: attempt.keyId,
    operation: record.operation,
    modelAlias: record.modelAlias,
    provider: record.provider ?? 'none',
    stream: record.stream,
    status: CLIENT_GONE,
    errorCode: ATTEMPT_LOST,
    latencyMs: Math.max(0, attempt.atMs - startMs),
    meters: { inputTokens: record.inputTokensEstimate, outputTokens: Math.max(0, (record.estimatedTokens ?? 0) - record.inputTokensEstimate) },
    usageSource: 'estimate',
    ...(record.priceVersionId ? { priceVersionId: record.priceVersionId } : {}),
    // Where no route has a price nothing was held, and the cost is unknown.
    ...(record.priceVersionId !== undefined || attempt.heldNano > 0n ? { costNano, costComponents: { held: costNano } } : { costNano: null }),
    holdNano: costNano,
    windows: { schedule: record.schedule, tenant: record.windowId, ...(record.hasKeyBudget ? { key: record.windowId } : {}) },
    endedAtMs: Math.trunc(attempt.atMs),
  };
}
