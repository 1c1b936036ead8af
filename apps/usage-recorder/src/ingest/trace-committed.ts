import { STREAMS, type UsageEvent } from '@omg/contracts';
import type { Tracing } from '@omg/service-kit';

/**
 * The end of the trace that began with the client's request: how long its usage waited on the bus and in the queue, and the
 * transaction that wrote its row. Only for events whose request was traced.
 */
export function traceCommitted(tracing: Tracing, events: readonly UsageEvent[], commitSeconds: number, nowMs: number): void {
  if (!tracing.isOn) return;
  for (const event of events) {
    if (event.traceparent === undefined) continue;
    // The edge's clock may be ahead of ours.
    const startTimeMs = Math.min(event.endedAtMs, nowMs - commitSeconds * 1000);
    const whole = tracing.start(`process ${STREAMS.usage.name}`, {
      kind: 'consumer',
      parent: event.traceparent,
      onlyWithParent: true,
      startTimeMs,
      attributes: {
        'messaging.system': 'nats',
        'messaging.destination.name': STREAMS.usage.subject,
        'messaging.operation.name': 'process',
        'omg.usage.id': event.id,
      },
    });
    if (!whole) continue;
    tracing
      .start('commit usage', { kind: 'internal', parent: whole, startTimeMs: nowMs - commitSeconds * 1000, attributes: { 'db.system.name': 'postgresql' } })
      ?.end(nowMs);
    whole.end(nowMs);
  }
}
