import { describe, expect, it } from '@jest/globals';
import { parseTestArguments } from './test-command.ts';

describe('./omg test', () => {
  it('without a kind runs the checks and everything that needs no crash and no model', () => {
    expect(parseTestArguments([])).toEqual({ kinds: ['unit', 'integration', 'e2e'], checks: true, jestArguments: [] });
  });

  it('runs the named kinds only, in a fixed order', () => {
    expect(parseTestArguments(['faults', 'unit'])).toEqual({ kinds: ['unit', 'faults'], checks: false, jestArguments: [] });
    expect(parseTestArguments(['checks'])).toEqual({ kinds: [], checks: true, jestArguments: [] });
  });

  it('hands what follows -- to Jest', () => {
    expect(parseTestArguments(['unit', '--', 'packages/domain', '-t', 'money'])).toMatchObject({
      kinds: ['unit'],
      jestArguments: ['packages/domain', '-t', 'money'],
    });
  });

  it('refuses an unknown kind instead of running nothing', () => {
    expect(() => parseTestArguments(['units'])).toThrow(/unknown kind of test "units"/);
  });
});
