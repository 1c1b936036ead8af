import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import {
  breakerAllows,
  breakerFailure,
  breakerNeutral,
  breakerPhase,
  breakerStart,
  breakerSuccess,
  breakerWaitMs,
  CLOSED_BREAKER,
  type BreakerState,
} from './breaker.js';

const SETTINGS = { failureThreshold: 3, cooldownMs: 300_000, probeLeaseMs: 60_000 };

function failed(times: number, atMs = 0, state: BreakerState = CLOSED_BREAKER): BreakerState {
  for (let i = 0; i < times; i++) state = breakerFailure(state, state.generation, SETTINGS, atMs);
  return state;
}

describe('a route breaker', () => {
  it('opens at the third failure in a row, not before, for five minutes', () => {
    expect(breakerPhase(failed(2), 0)).toBe('closed');
    expect(breakerAllows(failed(3), 299_999)).toBe(false);
    expect(breakerPhase(failed(3), 299_999)).toBe('open');
    expect(breakerPhase(failed(3), 300_000)).toBe('half_open');
    expect(breakerWaitMs(failed(3), 100_000)).toBe(200_000);
  });

  it('counts failures in a row only', () => {
    expect(breakerPhase(failed(2, 0, breakerSuccess(failed(2), 0)), 0)).toBe('closed');
    expect(failed(2).consecutiveFailures).toBe(2);
  });

  it('lets exactly one request try after the cooldown, until its lease ends', () => {
    const probing = breakerStart(failed(3), SETTINGS, 300_000);
    expect(breakerAllows(failed(3), 300_000)).toBe(true);
    expect(breakerAllows(probing, 300_001)).toBe(false);
    expect(breakerWaitMs(probing, 300_001)).toBe(59_999);
    expect(breakerAllows(probing, 360_000)).toBe(true);
  });

  it('closes on the probe success, opens again on its failure, and gives the lease back when it told nothing', () => {
    const probing = breakerStart(failed(3), SETTINGS, 300_000);
    expect(breakerPhase(breakerSuccess(probing, probing.generation), 300_001)).toBe('closed');
    const again = breakerFailure(probing, probing.generation, SETTINGS, 300_010);
    expect(breakerPhase(again, 300_011)).toBe('open');
    expect(again.openUntilMs).toBe(600_010);
    expect(breakerAllows(breakerNeutral(probing, probing.generation), 300_020)).toBe(true);
  });

  it('starts nothing while closed, and is told nothing by what says nothing', () => {
    expect(breakerStart(failed(2), SETTINGS, 5)).toEqual(failed(2));
    expect(breakerNeutral(failed(2), 0)).toEqual(failed(2));
  });

  it('stays open longer where the provider asks for it, never shorter', () => {
    expect(breakerFailure(failed(2), 0, SETTINGS, 0, 900_000).openUntilMs).toBe(900_000);
    expect(breakerFailure(failed(2), 0, SETTINGS, 0, 1000).openUntilMs).toBe(300_000);
  });

  it('is told nothing by calls that were sent before it opened, whatever became of them', () => {
    const before = CLOSED_BREAKER.generation;
    const open = failed(3);
    const probing = breakerStart(open, SETTINGS, 300_000);
    const closed = breakerSuccess(probing, probing.generation);
    for (const state of [open, probing, failed(2, 300_100, closed)]) {
      expect(breakerSuccess(state, before)).toEqual(state);
      expect(breakerFailure(state, before, SETTINGS, 300_200, 900_000)).toEqual(state);
      expect(breakerNeutral(state, before)).toEqual(state);
    }
  });

  it('closes when its first probe succeeds at last, also after another one took over its lease', () => {
    const second = breakerStart(breakerStart(failed(3), SETTINGS, 300_000), SETTINGS, 360_000);
    expect(breakerPhase(breakerSuccess(second, second.generation), 360_001)).toBe('closed');
  });

  it('never lets two requests try at once while half-open, whatever happens in which order', () => {
    const step = fc.record({ kind: fc.constantFrom('success', 'failure', 'neutral', 'ask'), afterMs: fc.nat(200_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state: BreakerState = failed(3);
        let nowMs = 0;
        let leaseEndMs = -1;
        for (const { kind, afterMs } of steps) {
          nowMs += afterMs;
          if (kind === 'ask') {
            if (!breakerAllows(state, nowMs)) continue;
            if (breakerPhase(state, nowMs) === 'half_open') {
              expect(nowMs).toBeGreaterThanOrEqual(leaseEndMs);
              leaseEndMs = nowMs + SETTINGS.probeLeaseMs;
            }
            state = breakerStart(state, SETTINGS, nowMs);
          } else {
            const { generation } = state;
            if (kind === 'success') state = breakerSuccess(state, generation);
            else if (kind === 'failure') state = breakerFailure(state, generation, SETTINGS, nowMs);
            else state = breakerNeutral(state, generation);
            leaseEndMs = -1;
          }
        }
      }),
    );
  });
});
