import { describe, expect, it } from '@jest/globals';
import { Allowances } from './allowances.js';

describe('an allowance', () => {
  it("is each name's own, used up by amounts and given back by the second", () => {
    const clock = { ms: 1000 };
    const allowances = new Allowances({ burst: 10, perSecond: 4, namesMax: 2 }, () => clock.ms);
    allowances.use('a', 7);
    expect([allowances.waitMs('a', 3), allowances.waitMs('a', 4), allowances.waitMs('b', 10)]).toEqual([0, 250, 0]);
    clock.ms += 250;
    expect(allowances.waitMs('a', 4)).toBe(0);
    // What was under way when the last was used up leaves no debt.
    allowances.use('a', 10);
    expect(allowances.waitMs('a', 1)).toBe(250);
    clock.ms += 3_600_000;
    expect(allowances.waitMs('a', 10)).toBe(0);
  });
});
