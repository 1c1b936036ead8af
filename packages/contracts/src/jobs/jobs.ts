import { z } from 'zod';

/** BullMQ payloads. Job ids are deterministic, so adding a job twice adds it once. */

/** Queue `usage`: one job per batch message, named after the batch. */
export const usageJobSchema = z.object({
  v: z.literal(1),
  /** The message as it came: what cannot be read must be dead-lettered as it was. */
  payload: z.string(),
  /** Where the message is acknowledged once its events are committed. */
  ackSubject: z.string().max(512),
  streamSequence: z.int().nonnegative(),
  publishedAtMs: z.int(),
});
export type UsageJob = z.infer<typeof usageJobSchema>;

/** Queue `budget-evaluation`: after a commit; at most one per tenant waits. */
export const budgetEvaluationJobSchema = z.object({
  v: z.literal(1),
  tenantId: z.uuid(),
  /** For the webhook's body: the key and model of the request that changed the total. */
  apiKeyId: z.uuid().optional(),
  modelAlias: z.string().optional(),
  traceparent: z.string().optional(),
});
export type BudgetEvaluationJob = z.infer<typeof budgetEvaluationJobSchema>;

/** Queue `alert-delivery`: one job per alert and channel. */
export const alertDeliveryJobSchema = z.object({
  v: z.literal(1),
  alertId: z.uuid(),
  channel: z.enum(['email', 'webhook']),
  target: z.string(),
  /** Of the evaluation that raised the alert; a delivery that was queued again belongs to no trace. */
  traceparent: z.string().optional(),
});
export type AlertDeliveryJob = z.infer<typeof alertDeliveryJobSchema>;

/** Request on `budget.seed`. */
export const budgetSeedRequestSchema = z.object({
  v: z.literal(1),
  tenantId: z.uuid(),
  apiKeyId: z.uuid().optional(),
  schedule: z.string(),
  /** Window ids as the edge computed them. */
  windowId: z.string(),
  windowStartMs: z.int(),
  windowEndMs: z.int(),
});
export type BudgetSeedRequest = z.infer<typeof budgetSeedRequestSchema>;

/** Answer on `budget.seed`: `ok` once the totals are in Redis. */
export const budgetSeedReplySchema = z.object({ v: z.literal(1), ok: z.boolean() });
export type BudgetSeedReply = z.infer<typeof budgetSeedReplySchema>;
