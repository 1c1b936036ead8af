import { describe, expect, it } from '@jest/globals';
import { RouteVerdict, type EdgeReport } from './route-verdict.js';

const settings = { window: 5, failureThreshold: 3, passiveMs: 120_000, breakerMs: 300_000 };
const make = () => new RouteVerdict(settings);
const report = (more: Partial<EdgeReport> = {}): EdgeReport => ({ successes: 0, failures: 0, consecutiveFailures: 0, breaker: 'closed', ...more });
const probe = (verdict: RouteVerdict, ...results: ('ok' | string)[]) => {
  for (const result of results) verdict.probed(result === 'ok' ? undefined : result);
  return verdict;
};

describe('the verdict of a route', () => {
  it('is none while nothing is known', () => {
    expect(make().verdict(0)).toBeUndefined();
  });

  it('is healthy after a good probe, degraded when most of the window failed, down after as many failures in a row as open a breaker', () => {
    expect(probe(make(), 'ok').verdict(0)).toEqual({ state: 'healthy' });
    expect(probe(make(), 'ok', 'ok', 'timeout').verdict(0)).toEqual({ state: 'healthy' });
    expect(probe(make(), 'timeout').verdict(0)).toEqual({ state: 'degraded', reason: 'timeout' });
    expect(probe(make(), 'timeout', 'ok', 'auth', 'auth', 'ok').verdict(0)).toEqual({ state: 'degraded', reason: 'auth' });
    expect(probe(make(), 'ok', 'network', 'network', 'timeout').verdict(0)).toEqual({ state: 'down', reason: 'timeout' });
  });

  it('comes back over degraded to healthy as the window fills with good probes', () => {
    const verdict = probe(make(), 'x', 'x', 'x', 'x', 'x');
    const states = ['ok', 'ok', 'ok'].map((result) => probe(verdict, result).verdict(0)!.state);
    expect(states).toEqual(['degraded', 'degraded', 'healthy']);
  });

  it('a good probe does not hide a breaker that live traffic opened', () => {
    const verdict = probe(make(), 'ok', 'ok', 'ok');
    verdict.reported('edge-1', report({ breaker: 'open', consecutiveFailures: 3, lastError: 'server_error' }), 1000);
    expect(probe(verdict, 'ok').verdict(2000)).toEqual({ state: 'degraded', reason: 'server_error' });
    verdict.reported('edge-1', report({ breaker: 'half_open' }), 200_000);
    expect(verdict.verdict(200_000)?.state).toBe('degraded');
    verdict.reported('edge-1', report({ successes: 1 }), 201_000);
    expect(verdict.verdict(201_000)).toEqual({ state: 'healthy' });
  });

  it('a route that answers live traffic is never down for its probes alone', () => {
    const verdict = probe(make(), 'not_found', 'not_found', 'not_found');
    expect(verdict.verdict(0)?.state).toBe('down');
    verdict.reported('edge-1', report({ successes: 5 }), 1000);
    expect(verdict.verdict(2000)).toEqual({ state: 'degraded', reason: 'not_found' });
    expect(verdict.verdict(1000 + settings.passiveMs)?.state).toBe('down');
  });

  it('a success of long ago with an open breaker now is no answer', () => {
    const verdict = probe(make(), 'x', 'x', 'x');
    verdict.reported('edge-1', report({ successes: 5, breaker: 'open' }), 1000);
    expect(verdict.verdict(1001)?.state).toBe('down');
  });

  it('forgets edges that fell silent, an open breaker only after its cooldown', () => {
    const verdict = make();
    verdict.reported('gone', report({ breaker: 'open' }), 0);
    expect(verdict.verdict(settings.breakerMs - 1)?.state).toBe('degraded');
    expect(verdict.verdict(settings.breakerMs)).toBeUndefined();
  });

  it('knows a route without a probe from live traffic alone, and never calls it down', () => {
    const verdict = make();
    verdict.reported('edge-1', report({ successes: 1 }), 0);
    expect(verdict.verdict(1)).toEqual({ state: 'healthy' });
    verdict.reported('edge-1', report({ failures: 9, consecutiveFailures: 9, lastError: 'timeout' }), 500_000);
    expect(verdict.verdict(500_001)).toEqual({ state: 'degraded', reason: 'timeout' });
  });

  it('a new prober does not heal what the one before called down', () => {
    const verdict = make();
    verdict.seed({ state: 'down', reason: 'network' });
    expect(verdict.verdict(0)).toEqual({ state: 'down', reason: 'network' });
    expect(probe(verdict, 'timeout').verdict(0)).toEqual({ state: 'down', reason: 'timeout' });
    expect(probe(verdict, 'ok').verdict(0)?.state).toBe('degraded');
  });
});
