import { breakerAllows, breakerPhase, breakerWaitMs, CLOSED_BREAKER, type BreakerPhase, type BreakerState } from './breaker.js';
import { firstChoiceOdds, incapability, weightedOrder, type RouteAbilities, type RouteNeeds } from './routing.js';

/**
 * Which routes of an alias may serve a request, in which order, and why the others may not. Pure: health, breakers, time
 * and chance are parameters, so the edge decides with the same rules that the admin API explains with.
 */

/**
 * What the health monitor published; what is too old counts as `unknown`. Only `down` weighs: such a route is tried after
 * all others, as a last resort, since probes may see what traffic does not.
 */
export type RouteHealthState = 'healthy' | 'degraded' | 'down' | 'unknown';

export interface PlannedRoute {
  id: string;
  /** At least 1. */
  weight: number;
  enabled: boolean;
  abilities: RouteAbilities;
}

export type DropReason =
  | 'disabled'
  | 'operation' // the route has no such operation
  | 'parameter' // the route cannot do what a field asks for
  | 'context_window' // the request does not fit
  | 'breaker_open'
  | 'probe_running'; // half-open, and another request is already trying it

export interface RouteVerdict {
  routeId: string;
  weight: number;
  eligible: boolean;
  reason?: DropReason;
  /** The request's field at fault, for `parameter` and `context_window`. */
  param?: string;
  /** Until the route may be tried again, for `breaker_open` and `probe_running`. */
  waitMs?: number;
  breaker: BreakerPhase;
  health: RouteHealthState;
  /** Tried after all others, whatever its weight. */
  lastResort: boolean;
  /** Chance to be tried first, 0 to 1. */
  odds: number;
}

export interface RoutingInput<R extends PlannedRoute = PlannedRoute> {
  routes: readonly R[];
  needs: RouteNeeds;
  /** Absent: `unknown`. */
  health: (routeId: string) => RouteHealthState | undefined;
  /** Absent: closed. */
  breaker: (routeId: string) => BreakerState | undefined;
  nowMs: number;
}

/**
 * Why nothing can be tried: no enabled route at all (404), none with the operation (400), none that can do what a field
 * asks (400, `param`), none whose context window is large enough (400), or all that could are failing (503, `retryAfterMs`).
 */
export interface NoRoute {
  why: 'not_found' | 'operation' | 'parameter' | 'context_window' | 'unavailable';
  param?: string;
  retryAfterMs?: number;
}

export interface RoutePlan<R extends PlannedRoute = PlannedRoute> {
  /** First choice, then failover order. Empty exactly when `none` is set. */
  order: R[];
  none?: NoRoute;
}

/** The first choice and the failover order, by weight; last resorts come behind. `random` is in [0, 1). */
export function planRoutes<R extends PlannedRoute>(input: RoutingInput<R>, random: () => number): RoutePlan<R> {
  const preferred: R[] = [];
  const lastResorts: R[] = [];
  const dropped: RouteVerdict[] = [];
  for (const route of input.routes) {
    const verdict = judge(route, input);
    if (!verdict.eligible) dropped.push(verdict);
    else (verdict.lastResort ? lastResorts : preferred).push(route);
  }
  const order = [...weightedOrder(preferred, random), ...weightedOrder(lastResorts, random)];
  return order.length > 0 ? { order } : { order, none: noRoute(dropped) };
}

/** Every route of the alias with its verdict and its chance to be tried first. */
export function explainRoutes(input: RoutingInput): { routes: RouteVerdict[]; none?: NoRoute } {
  const routes = input.routes.map((route) => judge(route, input));
  const eligible = routes.filter((verdict) => verdict.eligible);
  const preferred = eligible.filter((verdict) => !verdict.lastResort);
  const first = preferred.length > 0 ? preferred : eligible;
  firstChoiceOdds(first).forEach((odds, i) => (first[i]!.odds = odds));
  return eligible.length > 0 ? { routes } : { routes, none: noRoute(routes) };
}

function judge(route: PlannedRoute, input: RoutingInput): RouteVerdict {
  const state = input.breaker(route.id) ?? CLOSED_BREAKER;
  const health = input.health(route.id) ?? 'unknown';
  const breaker = breakerPhase(state, input.nowMs);
  const verdict: RouteVerdict = { routeId: route.id, weight: route.weight, eligible: false, breaker, health, lastResort: health === 'down', odds: 0 };
  if (!route.enabled) return { ...verdict, reason: 'disabled' };
  const cannot = incapability(input.needs, route.abilities);
  if (cannot !== undefined) return { ...verdict, ...cannot };
  if (!breakerAllows(state, input.nowMs)) {
    return { ...verdict, reason: breaker === 'open' ? 'breaker_open' : 'probe_running', waitMs: breakerWaitMs(state, input.nowMs) };
  }
  verdict.eligible = true;
  return verdict;
}

/** What to tell the client: what could be waited for first, then what is nearest to being served. */
function noRoute(dropped: readonly RouteVerdict[]): NoRoute {
  const failing = dropped.filter(({ reason }) => reason === 'breaker_open' || reason === 'probe_running');
  if (failing.length > 0) return { why: 'unavailable', retryAfterMs: Math.min(...failing.map(({ waitMs }) => waitMs ?? 0)) };
  for (const why of ['context_window', 'parameter'] as const) {
    const found = dropped.find(({ reason }) => reason === why);
    if (found !== undefined) return { why, ...(found.param === undefined ? {} : { param: found.param }) };
  }
  return { why: dropped.some(({ reason }) => reason === 'operation') ? 'operation' : 'not_found' };
}
