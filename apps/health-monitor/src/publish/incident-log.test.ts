import { describe, expect, it } from '@jest/globals';
import { routeIncidentSchema, type RouteIncident } from '@omg/contracts';
import { IncidentLog } from './incident-log.js';

function store() {
  const map = new Map<string, { value: string }>();
  return {
    map,
    entries: () => Promise.resolve(map),
    put: (key: string, value: string) => Promise.resolve(void map.set(key, { value })),
    incidents: (): RouteIncident[] => [...map.values()].map(({ value }) => routeIncidentSchema.parse(JSON.parse(value))),
  };
}
const r = { id: 'r1', alias: 'gpt', provider: 'p' };

describe('incidents', () => {
  it('begin once, become worse, never better, and end', () => {
    const s = store();
    const log = new IncidentLog(s, () => undefined);
    expect(log.observe(r, { state: 'healthy' }, 1)).toBeUndefined();
    expect(log.observe(r, { state: 'degraded', reason: 'timeout' }, 2)).toBe('began');
    expect(log.observe(r, { state: 'degraded', reason: 'auth' }, 3)).toBeUndefined();
    expect(log.observe(r, { state: 'down', reason: 'auth' }, 4)).toBe('worse');
    expect(log.observe(r, { state: 'degraded' }, 5)).toBeUndefined();
    expect(log.openCount).toBe(1);
    expect(log.observe(r, { state: 'healthy' }, 6)).toBe('ended');
    expect(s.incidents()).toEqual([expect.objectContaining({ routeId: 'r1', state: 'down', reason: 'timeout', startedAtMs: 2, endedAtMs: 6 })]);
    expect(log.observe(r, { state: 'down' }, 7)).toBe('began');
    expect(s.incidents()).toHaveLength(2);
  });

  it('of the prober before go on, and those of removed routes end', async () => {
    const s = store();
    new IncidentLog(s, () => undefined).observe(r, { state: 'down', reason: 'network' }, 1);
    const next = new IncidentLog(s, () => undefined);
    await next.load();
    expect(next.observe(r, { state: 'down' }, 2)).toBeUndefined();
    next.forget('r1', 3);
    expect(s.incidents()).toEqual([expect.objectContaining({ startedAtMs: 1, endedAtMs: 3 })]);
    expect(next.openCount).toBe(0);
  });
});
