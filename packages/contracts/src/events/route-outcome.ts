import { z } from 'zod';

/** What one edge saw of its routes since its last summary; published once a second while there is something to tell. */
export const routeOutcomeSchema = z.object({
  v: z.literal(1),
  edgeId: z.string(),
  atMs: z.int(),
  routes: z.array(
    z.object({
      routeId: z.string(),
      successes: z.int().nonnegative(),
      failures: z.int().nonnegative(),
      consecutiveFailures: z.int().nonnegative(),
      breaker: z.enum(['closed', 'open', 'half_open']),
      lastError: z.string().max(64).optional(),
      latencyMsSum: z.number().nonnegative(),
    }),
  ),
});

export type RouteOutcome = z.infer<typeof routeOutcomeSchema>;

/** State of a route in the KV bucket `health`, key `route.<id>`. An old state means unknown, never down. */
export const routeHealthSchema = z.object({
  v: z.literal(1),
  routeId: z.string(),
  state: z.enum(['healthy', 'degraded', 'down']),
  /** Class of the last failure, such as `timeout`; never upstream text. */
  reason: z.string().max(64).optional(),
  checkedAtMs: z.int(),
  /** After this time the state counts as unknown. */
  validUntilMs: z.int(),
});

export type RouteHealth = z.infer<typeof routeHealthSchema>;
