/**
 * A route's circuit breaker as a pure state machine; time is a parameter, so edges and tests run the same rules.
 *
 * closed -> open after N consecutive failures of live traffic; open -> half-open when the cooldown is over, for exactly
 * one probing request under a lease; its success closes the breaker, its failure opens it again. What says nothing about
 * the route (the client left, its request was invalid) changes no count, but gives the probe's lease back.
 * An answer counts for the generation in which its request was sent, and each opening begins a new one: calls that were sent
 * before neither close the breaker early nor keep it open for longer, however late they end.
 * Health probes of the monitor never close a breaker: only live traffic does.
 */
export interface BreakerSettings {
  failureThreshold: number;
  cooldownMs: number;
  /** How long one half-open probe may take before another request may try. */
  probeLeaseMs: number;
}

export interface BreakerState {
  /** How often the breaker has opened; see `breakerStart`. */
  generation: number;
  consecutiveFailures: number;
  /** Set while open or half-open. */
  openUntilMs: number | undefined;
  /** Set while a half-open probe runs. */
  probeUntilMs: number | undefined;
}

export type BreakerPhase = 'closed' | 'open' | 'half_open';

export const CLOSED_BREAKER: BreakerState = Object.freeze({ generation: 0, consecutiveFailures: 0, openUntilMs: undefined, probeUntilMs: undefined });

export function breakerPhase(state: BreakerState, nowMs: number): BreakerPhase {
  if (state.openUntilMs === undefined) return 'closed';
  return nowMs < state.openUntilMs ? 'open' : 'half_open';
}

/** Whether a request may be sent now. Changes nothing: see `breakerStart`. */
export function breakerAllows(state: BreakerState, nowMs: number): boolean {
  const phase = breakerPhase(state, nowMs);
  if (phase === 'closed') return true;
  return phase === 'half_open' && (state.probeUntilMs === undefined || nowMs >= state.probeUntilMs);
}

/** A request is about to be sent, of the state's generation: in the half-open phase it takes the probe's lease. */
export function breakerStart(state: BreakerState, settings: BreakerSettings, nowMs: number): BreakerState {
  return breakerPhase(state, nowMs) === 'half_open' ? { ...state, probeUntilMs: nowMs + settings.probeLeaseMs } : state;
}

/** `generation` is that of the request, here and below. */
export function breakerSuccess(state: BreakerState, generation: number): BreakerState {
  return generation === state.generation ? { ...CLOSED_BREAKER, generation } : state;
}

/** A failure that tells something about the route. A provider's `Retry-After` can only prolong the cooldown of an opening breaker. */
export function breakerFailure(state: BreakerState, generation: number, settings: BreakerSettings, nowMs: number, retryAfterMs = 0): BreakerState {
  if (generation !== state.generation) return state;
  const consecutiveFailures = state.consecutiveFailures + 1;
  const reopens = breakerPhase(state, nowMs) !== 'closed';
  if (!reopens && consecutiveFailures < settings.failureThreshold) return { ...state, consecutiveFailures };
  return { generation: generation + 1, consecutiveFailures, openUntilMs: nowMs + Math.max(settings.cooldownMs, retryAfterMs), probeUntilMs: undefined };
}

/** The request told nothing about the route. */
export function breakerNeutral(state: BreakerState, generation: number): BreakerState {
  return generation !== state.generation || state.probeUntilMs === undefined ? state : { ...state, probeUntilMs: undefined };
}

/** How long until a request may be tried; 0 when one may be now. */
export function breakerWaitMs(state: BreakerState, nowMs: number): number {
  if (breakerAllows(state, nowMs)) return 0;
  return Math.max(0, (breakerPhase(state, nowMs) === 'open' ? state.openUntilMs! : state.probeUntilMs!) - nowMs);
}
