import { describe, expect, it } from '@jest/globals';
import { reap, type ReaperOptions, type ReaperParts } from './reaper.js';

const OPTIONS: ReaperOptions = { graceMs: 0, backlogGraceMs: 0, backlogMs: () => 0, nowMs: () => 0 };

/** Tenants in this order; those named in `broken` cannot be read. */
function partsOf(tenants: readonly string[], broken: readonly string[], asked: string[]): ReaperParts {
  return {
    store: {
      activeTenants: () => Promise.resolve([...tenants]),
      expiredAttempts: (tenantId: string) => {
        asked.push(tenantId);
        return broken.includes(tenantId) ? Promise.reject(new Error(`${tenantId} is broken`)) : Promise.resolve([]);
      },
      endedAttempts: () => Promise.resolve([]),
    },
    bookkeeper: { book: () => Promise.resolve() },
    metrics: { reaped: { child: () => ({ inc: () => undefined }) } },
    log: { error: () => undefined, warn: () => undefined },
  } as unknown as ReaperParts;
}

describe('a run of the reaper', () => {
  it('books the tenants after one that cannot be booked, and fails all the same', async () => {
    const asked: string[] = [];
    await expect(reap(partsOf(['a', 'b', 'c'], ['a'], asked), OPTIONS)).rejects.toThrow('a is broken');
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('ends early when one tenant after the other fails: then a store is away', async () => {
    const asked: string[] = [];
    const tenants = Array.from({ length: 10 }, (_, i) => `t${i}`);
    await expect(reap(partsOf(tenants, tenants, asked), OPTIONS)).rejects.toThrow('t0 is broken');
    expect(asked).toHaveLength(3);
  });
});
