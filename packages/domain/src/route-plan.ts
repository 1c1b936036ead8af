import { breakerAllows, breakerPhase, breakerWaitMs, CLOSED_BREAKER, type BreakerPhase, type BreakerState } from './breaker.js';
import { firstChoiceOdds, incapability, orderByWeight, type RouteAbilities, type RouteNeeds } from './routing.js';

/**
 * Which routes of an alias may serve a request, in which order, and why the others may not. Pure: health, breakers, time
 * and chance are parameters. A request takes two steps, since it is admitted in between: `capableRoutes` looks at what it
 * asks, `planRoutes` at how the routes stand at that moment. `explainRoutes` runs both on every route and tells the reasons,
 * so that what the admin API explains is what the edges do.
 */

/** What the health monitor published; what is too old counts as `unknown`. */
export type RouteHealthState = 'healthy' | 'degraded' | 'down' | 'unknown';

export interface PlannedRoute {
  readonly id: string;
  /** At least 1. */
  readonly weight: number;
  readonly enabled: boolean;
  /** False: the catalog entry is broken, no call can be made. */
  readonly usable: boolean;
  readonly abilities: RouteAbilities;
}

/** How a route stands. */
export interface RouteState {
  readonly breaker: BreakerState;
  readonly health: { readonly state: RouteHealthState; readonly validUntilMs: number } | undefined;
}

/** Undefined: nothing is known, as of a route that was never called. */
export type RouteStateOf = (routeId: string) => RouteState | undefined;

export type DropReason =
  | 'disabled'
  | 'operation' // the route has no such operation
  | 'parameter' // the route cannot do what a field asks for
  | 'context_window' // the request does not fit
  | 'invalid' // the entry is broken
  | 'breaker_open'
  | 'probe_running'; // half-open, and another request is already trying it

/**
 * Why nothing can be tried: no enabled route at all (404), none with the operation (400), none that can do what a field
 * asks (400, `param`), none whose context window is large enough (400), or all that could are failing (503, `retryAfterMs`).
 */
export interface NoRoute {
  why: 'not_found' | 'operation' | 'parameter' | 'context_window' | 'unavailable';
  param?: string;
  /** Undefined for `unavailable`: nothing says when a broken entry will be mended. */
  retryAfterMs?: number;
}

/** The routes that can do what a request asks, in the order of the catalog; or why none can. */
export function capableRoutes<R extends PlannedRoute>(routes: readonly R[], needs: RouteNeeds): { routes: readonly R[]; none?: undefined } | { none: NoRoute } {
  // Mostly every route can: then the list itself is the answer.
  let capable: R[] | undefined;
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i]!;
    if (route.enabled && incapability(needs, route.abilities) === undefined) capable?.push(route);
    else capable ??= routes.slice(0, i);
  }
  const found = capable ?? routes;
  return found.length > 0 ? { routes: found } : { none: nearestMiss(routes, needs) };
}

/** What to tell the client: what is nearest to being served. */
function nearestMiss(routes: readonly PlannedRoute[], needs: RouteNeeds): NoRoute {
  const misses = routes.flatMap((route) => (route.enabled ? (incapability(needs, route.abilities) ?? []) : []));
  for (const why of ['context_window', 'parameter'] as const) {
    const found = misses.find(({ reason }) => reason === why);
    if (found !== undefined) return { why, ...(found.param === undefined ? {} : { param: found.param }) };
  }
  return { why: misses.length > 0 ? 'operation' : 'not_found' };
}

/**
 * The order of attempts among capable routes: the first choice and then the failover, drawn by weight. Routes that the monitor
 * saw down come behind, as a last resort, since probes may see what traffic does not. Empty: none may be tried now.
 */
export function planRoutes<R extends PlannedRoute>(capable: readonly R[], stateOf: RouteStateOf, nowMs: number, random: () => number): readonly R[] {
  if (capable.length === 1) return standing(capable[0]!, stateOf, nowMs) === 'out' ? [] : capable;
  const order: R[] = [];
  let lastResorts: R[] | undefined;
  for (const route of capable) {
    const stands = standing(route, stateOf, nowMs);
    if (stands === 'in') order.push(route);
    else if (stands === 'last_resort') (lastResorts ??= []).push(route);
  }
  orderByWeight(order, random);
  if (lastResorts !== undefined) order.push(...orderByWeight(lastResorts, random));
  return order;
}

/** How long until one of the routes may be tried; undefined when no time is known. */
export function soonestRetryMs(routes: readonly PlannedRoute[], stateOf: RouteStateOf, nowMs: number): number | undefined {
  const waits = routes.flatMap((route) => (route.usable ? [breakerWaitMs(stateOf(route.id)?.breaker ?? CLOSED_BREAKER, nowMs)] : []));
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

function standing(route: PlannedRoute, stateOf: RouteStateOf, nowMs: number): 'in' | 'last_resort' | 'out' {
  if (!route.usable) return 'out';
  const state = stateOf(route.id);
  if (state === undefined) return 'in';
  if (!breakerAllows(state.breaker, nowMs)) return 'out';
  // The cooldown is over: one request may find out. Behind healthy routes it never would, and no breaker would ever close.
  if (state.breaker.openUntilMs !== undefined) return 'in';
  return healthOf(state, nowMs) === 'down' ? 'last_resort' : 'in';
}

/** An old verdict means unknown, never down. */
function healthOf(state: RouteState | undefined, nowMs: number): RouteHealthState {
  const health = state?.health;
  return health !== undefined && nowMs < health.validUntilMs ? health.state : 'unknown';
}

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

/** Every route of the alias with its verdict and its chance to be tried first, and what a client hears where none is left. */
export function explainRoutes(
  routes: readonly PlannedRoute[],
  needs: RouteNeeds,
  stateOf: RouteStateOf,
  nowMs: number,
): { routes: RouteVerdict[]; none?: NoRoute } {
  const capable = capableRoutes(routes, needs);
  const verdicts = routes.map((route): RouteVerdict => {
    const state = stateOf(route.id);
    const breaker = breakerPhase(state?.breaker ?? CLOSED_BREAKER, nowMs);
    const stands = standing(route, stateOf, nowMs);
    const base = { routeId: route.id, weight: route.weight, eligible: false, breaker, health: healthOf(state, nowMs), lastResort: false, odds: 0 };
    if (!route.enabled) return { ...base, reason: 'disabled' };
    const cannot = incapability(needs, route.abilities);
    if (cannot !== undefined) return { ...base, ...cannot };
    if (!route.usable) return { ...base, reason: 'invalid' };
    if (stands !== 'out') return { ...base, eligible: true, lastResort: stands === 'last_resort' };
    return { ...base, reason: breaker === 'open' ? 'breaker_open' : 'probe_running', waitMs: breakerWaitMs(state!.breaker, nowMs) };
  });
  const eligible = verdicts.filter((verdict) => verdict.eligible);
  const preferred = eligible.filter((verdict) => !verdict.lastResort);
  const first = preferred.length > 0 ? preferred : eligible;
  firstChoiceOdds(first).forEach((odds, i) => (first[i]!.odds = odds));
  if (capable.none !== undefined) return { routes: verdicts, none: capable.none };
  if (eligible.length > 0) return { routes: verdicts };
  const retryAfterMs = soonestRetryMs(capable.routes, stateOf, nowMs);
  return { routes: verdicts, none: { why: 'unavailable', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
}
