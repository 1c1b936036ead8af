import { describe, expect, it } from '@jest/globals';
import type { RouteEntry } from '../snapshot/config-snapshot.js';
import { RouteStates } from './route-states.js';

const SETTINGS = { failureThreshold: 3, cooldownMs: 300_000, probeLeaseMs: 60_000 };
const entry = (id: string, weight = 100): RouteEntry => ({ id, weight, enabled: true, usable: true, doc: { id, weight }, adapter: {} }) as RouteEntry;

function routeStates(clock = { ms: 1_000_000 }) {
  return {
    clock,
    states: new RouteStates(
      SETTINGS,
      () => clock.ms,
      () => 0,
    ),
  };
}

describe('route states', () => {
  it('takes a route out after three failures in a row and tells how long', () => {
    const { states } = routeStates();
    const routes = [entry('a'), entry('b')];
    for (let i = 0; i < 3; i++) states.onFailure('a', states.start('a'), 'server_error', undefined);
    expect(states.plan(routes).map((r) => r.doc.id)).toEqual(['b']);
    expect(states.soonestRetryMs([entry('a')])).toBe(SETTINGS.cooldownMs);
  });

  it('lets exactly one request probe a route whose cooldown is over', () => {
    const { states, clock } = routeStates();
    for (let i = 0; i < 3; i++) states.onFailure('a', states.start('a'), 'timeout', undefined);
    clock.ms += SETTINGS.cooldownMs;
    expect(states.mayTry('a')).toBe(true);
    const probe = states.start('a');
    expect(states.mayTry('a')).toBe(false);
    states.onSuccess('a', probe, 10);
    expect(states.mayTry('a')).toBe(true);
  });

  it('stays out when a call that was sent before the failures succeeds at last', () => {
    const { states, clock } = routeStates();
    const slow = states.start('a');
    for (let i = 0; i < 3; i++) states.onFailure('a', states.start('a'), 'timeout', undefined);
    states.onSuccess('a', slow, 10);
    expect(states.mayTry('a')).toBe(false);
    clock.ms += SETTINGS.cooldownMs;
    states.start('a');
    states.onNeutral('a', slow);
    expect(states.mayTry('a')).toBe(false);
  });

  it('gives the probe back when the client left in the middle of it', () => {
    const { states, clock } = routeStates();
    for (let i = 0; i < 3; i++) states.onFailure('a', states.start('a'), 'timeout', undefined);
    clock.ms += SETTINGS.cooldownMs;
    states.onNeutral('a', states.start('a'));
    expect(states.mayTry('a')).toBe(true);
  });

  it('tries a route that the monitor saw down only after all others, and forgets an old verdict', () => {
    const { states, clock } = routeStates();
    states.onHealth('a', { v: 1, routeId: 'a', state: 'down', checkedAtMs: clock.ms, validUntilMs: clock.ms + 1000 });
    expect(states.plan([entry('a', 1000), entry('b', 1)]).map((r) => r.doc.id)).toEqual(['b', 'a']);
    clock.ms += 1000;
    expect(states.plan([entry('a', 1000), entry('b', 1)]).map((r) => r.doc.id)).toEqual(['a', 'b']);
  });

  it('does not let the monitor close a breaker that live traffic opened', () => {
    const { states, clock } = routeStates();
    for (let i = 0; i < 3; i++) states.onFailure('a', states.start('a'), 'network', undefined);
    states.onHealth('a', { v: 1, routeId: 'a', state: 'healthy', checkedAtMs: clock.ms, validUntilMs: clock.ms + 1000 });
    expect(states.plan([entry('a')])).toEqual([]);
  });

  it('reports what it saw once', () => {
    const { states } = routeStates();
    states.onSuccess('a', states.start('a'), 12);
    states.onFailure('a', states.start('a'), 'timeout', undefined);
    expect(states.takeOutcomes('edge-1')?.routes).toEqual([
      { routeId: 'a', successes: 1, failures: 1, consecutiveFailures: 1, breaker: 'closed', lastError: 'timeout', latencyMsSum: 12 },
    ]);
    expect(states.takeOutcomes('edge-1')).toBeUndefined();
  });
});
