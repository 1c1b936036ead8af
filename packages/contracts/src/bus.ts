/** Names on the bus and in the queues, in one place. */

export const KV_BUCKETS = { config: 'config', health: 'health', incidents: 'incidents', leases: 'leases' } as const;

export const STREAMS = {
  /** Work queue of usage batches: file storage, discard new, explicit ack. */
  usage: { name: 'USAGE', subject: 'usage.v1.batch', consumer: 'recorder' },
  /** What could not be read or booked, kept for an operator. */
  usageDeadLetter: { name: 'USAGE_DLQ', subject: 'usage.v1.dead' },
} as const;

export const SUBJECTS = {
  /** Edge summaries of route outcomes; core NATS, best effort. */
  routeOutcome: 'route.outcome',
  /** Request/reply, queue group `recorder`: put a tenant's and a key's spend of the current window into Redis. */
  budgetSeed: 'budget.seed',
} as const;

export const QUEUES = { usage: 'usage', budgetEvaluation: 'budget-evaluation', alertDelivery: 'alert-delivery' } as const;
