import { describe, expect, it } from '@jest/globals';
import { RedisUnavailableError } from '@omg/storage';
import { reap, type ReaperOptions, type ReaperParts } from './reaper.js';

const OPTIONS: ReaperOptions = { graceMs: 0, backlogGraceMs: 0, backlogMs: () => 0, nowMs: () => 0, failed: new Set() };

/** Tenants in this order; those named in `broken` cannot be read. */
function partsOf(
  tenants: readonly string[],
  broken: readonly string[],
  asked: string[],
  listed: string[] = [],
  errorOf = (tenantId: string) => new Error(`${tenantId} is broken`),
): ReaperParts {
  return {
    store: {
      activeTenants: () => Promise.resolve([...tenants]),
      dueAttempts: (tenantId: string) => {
        asked.push(tenantId);
        return broken.includes(tenantId) ? Promise.reject(errorOf(tenantId)) : Promise.resolve(1);
      },
      expiredAttempts: (tenantId: string) => {
        listed.push(tenantId);
        return Promise.resolve([]);
      },
      endedAttempts: () => Promise.resolve([]),
    },
    bookkeeper: { book: () => Promise.resolve() },
    metrics: { reapedExpired: { inc: () => undefined }, reapedEnded: { inc: () => undefined } },
    log: { error: () => undefined, warn: () => undefined },
  } as unknown as ReaperParts;
}

describe('a run of the reaper', () => {
  it('books the tenants after one that cannot be booked, and fails all the same', async () => {
    const asked: string[] = [];
    const listed: string[] = [];
    await expect(reap(partsOf(['a', 'b', 'c'], ['a'], asked, listed), OPTIONS)).rejects.toThrow('a is broken');
    expect(asked).toEqual(['a', 'b', 'c']);
    expect(listed).toEqual(['b', 'c']);
  });

  it('looks last at those that could not be booked the last time, so that even Redis being cut off by them hurts no other', async () => {
    const asked: string[] = [];
    const failed = new Set(['a', 'c', 'gone']);
    await expect(reap(partsOf(['a', 'b', 'c', 'd'], ['a'], asked), { ...OPTIONS, failed })).rejects.toThrow('a is broken');
    expect(asked).toEqual(['b', 'd', 'a', 'c']);
    expect([...failed]).toEqual(['a']);
  });

  it('ends early when Redis does not answer: then it is no tenant', async () => {
    const asked: string[] = [];
    const tenants = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
    const away = () => new RedisUnavailableError('timeout');
    await expect(reap(partsOf(tenants, tenants, asked, [], away), OPTIONS)).rejects.toThrow('redis unavailable: timeout');
    expect(asked.length).toBeLessThan(100);
  });
});
