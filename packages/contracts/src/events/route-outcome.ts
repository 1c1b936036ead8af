import { z } from 'zod';
import { kvToken } from '../config/documents.js';

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

/**
 * A time in which a route was not healthy, in the KV bucket `incidents`, key `<token of the route id>.<incident id>`. Written when it
 * begins, when it becomes worse and when it ends.
 */
export const routeIncidentSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  routeId: z.string(),
  alias: z.string(),
  provider: z.string(),
  /** The worst state in it. */
  state: z.enum(['degraded', 'down']),
  /** Class of the failure that it began with. */
  reason: z.string().max(64).optional(),
  startedAtMs: z.int(),
  /** Absent: it goes on. */
  endedAtMs: z.int().optional(),
});

export type RouteIncident = z.infer<typeof routeIncidentSchema>;

const PLAIN_ID = /^[A-Za-z0-9_-]{1,128}$/;
const idToken = (id: string) => (PLAIN_ID.test(id) ? id : kvToken(id));

/** Key of a route's state in the bucket `health`. */
export const healthKey = (routeId: string): string => `route.${idToken(routeId)}`;
export const incidentKey = (routeId: string, incidentId: string): string => `${idToken(routeId)}.${incidentId}`;
