import { describe, expect, it } from '@jest/globals';
import { readVerifyArguments, UsageError } from './verify-arguments.js';

describe('the options of ./omg verify', () => {
  it('are all optional', () => {
    expect(readVerifyArguments([])).toEqual({ days: undefined, waitSeconds: 10, running: false, config: undefined });
    expect(readVerifyArguments(['--days', '7', '--wait=0', '--running', '--config', 'x.yaml'])).toEqual({
      days: 7,
      waitSeconds: 0,
      running: true,
      config: 'x.yaml',
    });
  });

  it.each([
    [['x'], /^Unexpected argument 'x'\. There are: --days n/],
    [['--frob'], /^Unknown option '--frob'\. There are: /],
    [['--days'], /^Option '--days <value>' argument missing\. There are: /],
    [['--days', 'x'], /^--days takes a whole number from 1 to 36600, not "x"$/],
    [['--days', '0'], /^--days takes/],
    [['--days', '1e3'], /^--days takes/],
    [['--wait', '-1'], /There are: /],
    [['--wait=-1'], /^--wait takes a whole number from 0 to 86400, not "-1"$/],
  ])('%j is answered by a sentence that says what there is', (args, text) => {
    expect(() => readVerifyArguments(args)).toThrow(UsageError);
    expect(() => readVerifyArguments(args)).toThrow(text);
  });
});
