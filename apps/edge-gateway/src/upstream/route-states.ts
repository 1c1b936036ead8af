import type { RouteHealth, RouteOutcome } from '@omg/contracts';
import {
  CLOSED_BREAKER,
  breakerAllows,
  breakerFailure,
  breakerNeutral,
  breakerPhase,
  breakerStart,
  breakerSuccess,
  planRoutes,
  soonestRetryMs,
  type BreakerSettings,
  type BreakerState,
  type RouteState,
} from '@omg/domain';
import type { RouteEntry } from '../snapshot/config-snapshot.js';

interface LiveState extends RouteState {
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
  private readonly stateOf = (routeId: string): LiveState | undefined => this.states.get(routeId);

  constructor(
    private readonly settings: BreakerSettings,
    private readonly nowMs: () => number,
    private readonly random: () => number = Math.random,
  ) {}

  /** The order of attempts among capable routes. */
  plan(routes: readonly RouteEntry[]): readonly RouteEntry[] {
    return planRoutes(routes, this.stateOf, this.nowMs(), this.random);
  }

  /** Whether a call may be made right now. */
  mayTry(routeId: string): boolean {
    const state = this.states.get(routeId);
    return !state || breakerAllows(state.breaker, this.nowMs());
  }

  /** A call is about to be made; in the half-open phase this takes the only probe. Returns what tells its end from that of older calls. */
  start(routeId: string): number {
    const state = this.states.get(routeId);
    if (!state) return CLOSED_BREAKER.generation;
    state.breaker = breakerStart(state.breaker, this.settings, this.nowMs());
    return state.breaker.generation;
  }

  onSuccess(routeId: string, generation: number, latencyMs: number): void {
    const state = this.state(routeId);
    state.breaker = breakerSuccess(state.breaker, generation);
    state.successes++;
    state.latencyMsSum += latencyMs;
    state.dirty = true;
  }

  onFailure(routeId: string, generation: number, error: string, retryAfterMs: number | undefined): void {
    const state = this.state(routeId);
    state.breaker = breakerFailure(state.breaker, generation, this.settings, this.nowMs(), retryAfterMs);
    state.failures++;
    state.lastError = error;
    state.dirty = true;
  }

  onNeutral(routeId: string, generation: number): void {
    const state = this.state(routeId);
    state.breaker = breakerNeutral(state.breaker, generation);
  }

  /** How long until one of the routes may be tried. */
  soonestRetryMs(routes: readonly RouteEntry[]): number {
    const waitMs = soonestRetryMs(routes, this.stateOf, this.nowMs());
    return waitMs === undefined ? RETRY_UNKNOWN_MS : Math.max(1000, waitMs);
  }

  onHealth(routeId: string, health: RouteHealth | undefined): void {
    if (health || this.states.has(routeId)) this.state(routeId).health = health;
  }

  /** The route is gone from the catalog: neither its breaker nor its metric outlives it. */
  forget(routeId: string): void {
    this.states.delete(routeId);
  }

  /** Forgets all routes that the whole catalog does not have. */
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
