import type { RouteHealth, RouteOutcome } from '@omg/contracts';
import {
  CLOSED_BREAKER,
  breakerAllows,
  breakerFailure,
  breakerNeutral,
  breakerPhase,
  breakerStart,
  breakerSuccess,
  breakerWaitMs,
  incapability,
  weightedOrder,
  type BreakerSettings,
  type BreakerState,
  type Incapability,
  type Operation,
} from '@omg/domain';
import type { ParsedRequest } from '../data-plane/endpoint.js';
import type { ModelEntry, RouteEntry } from '../snapshot/config-snapshot.js';

interface LiveState {
  breaker: BreakerState;
  health: RouteHealth | undefined;
  successes: number;
  failures: number;
  latencyMsSum: number;
  lastError: string | undefined;
  dirty: boolean;
}

/** Nothing says when a broken route will be mended: a client may ask again after this time. */
const RETRY_UNKNOWN_MS = 5000;

/**
 * What this process knows of each route: its own breaker, fed by live traffic, and the monitor's verdict. The monitor
 * can take a route out of the draw while others are left; only live traffic opens and closes a breaker.
 */
export class RouteStates {
  private readonly states = new Map<string, LiveState>();

  constructor(
    private readonly settings: BreakerSettings,
    private readonly nowMs: () => number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Routes that can do what is asked; else what the route that comes nearest lacks. */
  capable(model: ModelEntry, operation: Operation, parsed: ParsedRequest): { routes: readonly RouteEntry[] } | { missing: Incapability } {
    const needs = { operation, stream: parsed.stream, inputTokens: parsed.contextTokens ?? parsed.inputTokensEstimate, ...parsed.needs };
    const routes: RouteEntry[] = [];
    let missing: Incapability = { reason: 'operation' };
    for (const route of model.routes) {
      const lacking = incapability(needs, route.abilities);
      if (lacking === undefined) routes.push(route);
      else if (missing.reason === 'operation' || lacking.reason === 'context_window') missing = lacking;
    }
    return routes.length > 0 ? { routes } : { missing };
  }

  /** The order of attempts: usable routes by weight; those that the monitor saw down come last, as a last resort. */
  plan(routes: readonly RouteEntry[]): readonly RouteEntry[] {
    const nowMs = this.nowMs();
    const up: RouteEntry[] = [];
    const down: RouteEntry[] = [];
    for (const route of routes) {
      if (!route.adapter) continue;
      const state = this.states.get(route.doc.id);
      if (state && !breakerAllows(state.breaker, nowMs)) continue;
      (state && isDown(state.health, nowMs) ? down : up).push(route);
    }
    if (up.length + down.length === 1) return up.length === 1 ? up : down;
    const byWeight = (entries: RouteEntry[]): RouteEntry[] =>
      weightedOrder(
        entries.map((entry) => ({ entry, weight: entry.doc.weight })),
        this.random,
      ).map((r) => r.entry);
    return [...byWeight(up), ...byWeight(down)];
  }

  /** Asked right before a call; in the half-open phase this takes the only probe. */
  mayTry(routeId: string): boolean {
    const state = this.states.get(routeId);
    if (!state) return true;
    const nowMs = this.nowMs();
    if (!breakerAllows(state.breaker, nowMs)) return false;
    state.breaker = breakerStart(state.breaker, this.settings, nowMs);
    return true;
  }

  onSuccess(routeId: string, latencyMs: number): void {
    const state = this.state(routeId);
    state.breaker = breakerSuccess();
    state.successes++;
    state.latencyMsSum += latencyMs;
    state.dirty = true;
  }

  onFailure(routeId: string, error: string, retryAfterMs: number | undefined): void {
    const state = this.state(routeId);
    state.breaker = breakerFailure(state.breaker, this.settings, this.nowMs(), retryAfterMs);
    state.failures++;
    state.lastError = error;
    state.dirty = true;
  }

  onNeutral(routeId: string): void {
    const state = this.state(routeId);
    state.breaker = breakerNeutral(state.breaker);
  }

  /** How long until one of the routes may be tried. */
  soonestRetryMs(routes: readonly RouteEntry[]): number {
    const nowMs = this.nowMs();
    const waits = routes.flatMap((route) => (route.adapter ? [breakerWaitMs(this.states.get(route.doc.id)?.breaker ?? CLOSED_BREAKER, nowMs)] : []));
    return waits.length > 0 ? Math.max(1000, Math.min(...waits)) : RETRY_UNKNOWN_MS;
  }

  onHealth(routeId: string, health: RouteHealth | undefined): void {
    if (health || this.states.has(routeId)) this.state(routeId).health = health;
  }

  /** Forgets routes that are no longer in the catalog, so that the table does not grow for ever. */
  retainOnly(routeIds: ReadonlySet<string>): void {
    for (const id of this.states.keys()) if (!routeIds.has(id)) this.states.delete(id);
  }

  phases(): { routeId: string; phase: 'closed' | 'open' | 'half_open' }[] {
    const nowMs = this.nowMs();
    return [...this.states].map(([routeId, state]) => ({ routeId, phase: breakerPhase(state.breaker, nowMs) }));
  }

  /** What happened since the last call, for the monitor; undefined when nothing did. */
  takeOutcomes(edgeId: string): RouteOutcome | undefined {
    const nowMs = this.nowMs();
    const routes: RouteOutcome['routes'] = [];
    for (const [routeId, state] of this.states) {
      if (!state.dirty) continue;
      routes.push({
        routeId,
        successes: state.successes,
        failures: state.failures,
        consecutiveFailures: state.breaker.consecutiveFailures,
        breaker: breakerPhase(state.breaker, nowMs),
        ...(state.lastError ? { lastError: state.lastError } : {}),
        latencyMsSum: state.latencyMsSum,
      });
      Object.assign(state, { successes: 0, failures: 0, latencyMsSum: 0, lastError: undefined, dirty: false });
    }
    return routes.length > 0 ? { v: 1, edgeId, atMs: nowMs, routes } : undefined;
  }

  private state(routeId: string): LiveState {
    let state = this.states.get(routeId);
    if (!state) {
      state = { breaker: CLOSED_BREAKER, health: undefined, successes: 0, failures: 0, latencyMsSum: 0, lastError: undefined, dirty: false };
      this.states.set(routeId, state);
    }
    return state;
  }
}

/** An old verdict means unknown, never down. */
function isDown(health: RouteHealth | undefined, nowMs: number): boolean {
  return health?.state === 'down' && nowMs < health.validUntilMs;
}
