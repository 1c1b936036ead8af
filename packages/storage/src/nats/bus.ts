import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { STREAMS, SUBJECTS, budgetSeedReplySchema, encodeUsageBatch, type BudgetSeedRequest, type EncodedUsageBatch, type RouteOutcome } from '@omg/contracts';
import type { NatsClient } from './connection.js';

/** What the edge says on the bus. Each call rejects at once while the bus is away. */

function connection(nats: NatsClient) {
  if (!nats.isConnected || !nats.current) throw new Error('connection closed');
  return nats.current;
}

/** Resolves with the stream's acknowledgement: the batch is on disk. The batch id lets the stream drop a second copy. */
export async function publishUsageBatch(nats: NatsClient, batch: EncodedUsageBatch, timeoutMs: number): Promise<void> {
  const messageHeaders = headers();
  const traceparent = batch.events.find((event) => event.traceparent)?.traceparent;
  if (traceparent) messageHeaders.set('traceparent', traceparent);
  await jetstream(connection(nats), { timeout: timeoutMs }).publish(STREAMS.usage.subject, encodeUsageBatch(batch), {
    msgID: batch.batchId,
    headers: messageHeaders,
    timeout: timeoutMs,
  });
}

/** Best effort: the monitor works without it too. */
export function publishRouteOutcome(nats: NatsClient, outcome: RouteOutcome): void {
  connection(nats).publish(SUBJECTS.routeOutcome, JSON.stringify(outcome));
}

/** Resolves once the recorder has put the totals into Redis; rejects when it did not. */
export async function requestBudgetSeed(nats: NatsClient, request: BudgetSeedRequest, timeoutMs: number): Promise<void> {
  const reply = await connection(nats).request(SUBJECTS.budgetSeed, JSON.stringify(request), { timeout: timeoutMs });
  if (!budgetSeedReplySchema.parse(reply.json()).ok) throw new Error('the recorder could not seed the budget');
}
