import { describe, expect, it } from '@jest/globals';
import { ConfigSnapshot } from './config-snapshot.js';

const TENANT_ID = '0193b3a0-0000-7000-8000-000000000001';
const DEFAULTS = JSON.stringify({
  v: 1,
  timezone: 'UTC',
  limits: { requestsPerMinute: 1, tokensPerMinute: 1, parallelRequestsKey: 1, parallelRequestsTenant: 1 },
  budget: { limitNano: '1', warningThreshold: 0.8, schedule: 'daily', enforcement: 'estimate' },
});
const TENANT = JSON.stringify({ v: 1, id: TENANT_ID, name: 'acme', status: 'active', models: null });
const FULL = new Map([
  ['defaults', DEFAULTS],
  [`tenant.${TENANT_ID}`, TENANT],
]);

function newSnapshot(
  onInvalid = (key: string, problem: string): void => {
    throw new Error(`${key}: ${problem}`);
  },
): ConfigSnapshot {
  return new ConfigSnapshot(
    () => {
      throw new Error('no routes here');
    },
    onInvalid,
    () => undefined,
  );
}

describe('the configuration in memory', () => {
  it('is what the bucket holds: what is missing from a whole state is gone', () => {
    const snapshot = newSnapshot();
    snapshot.replaceAll(FULL);
    expect(snapshot.isComplete).toBe(true);
    expect(snapshot.tenant(TENANT_ID)?.doc.name).toBe('acme');
    snapshot.replaceAll(new Map([['defaults', DEFAULTS]]));
    expect(snapshot.tenant(TENANT_ID)).toBeUndefined();
  });

  it('keeps a tenant as it was, its own budget too, when what is told of it cannot be read; one that was never read is unknown', () => {
    const told: string[] = [];
    const snapshot = newSnapshot((key) => told.push(key));
    const key = `tenant.${TENANT_ID}`;
    const withBudget = JSON.stringify({ ...(JSON.parse(TENANT) as object), budget: { limitNano: '7' } });
    snapshot.replaceAll(new Map([...FULL, [key, '{"v":1}']]));
    expect(snapshot.tenant(TENANT_ID)).toBeUndefined();
    snapshot.apply(key, withBudget);
    snapshot.apply(key, withBudget.replace('"7"', '7'));
    snapshot.replaceAll(new Map([...FULL, [key, 'no JSON']]));
    expect(snapshot.tenant(TENANT_ID)?.doc.budget).toEqual({ limitNano: '7' });
    expect(told).toEqual([key, key, key]);
  });

  it('is not complete while the bucket is one that was lost and made anew: nobody may be told that their key is unknown', () => {
    const snapshot = newSnapshot();
    snapshot.replaceAll(FULL);
    snapshot.replaceAll(new Map());
    expect(snapshot.isComplete).toBe(false);
    for (const [key, value] of FULL) snapshot.apply(key, value);
    expect(snapshot.isComplete).toBe(true);
    expect(snapshot.tenant(TENANT_ID)).toBeDefined();
  });
});
