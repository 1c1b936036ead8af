import { describe, expect, it } from '@jest/globals';
import { centsFromNanoUsd, divideHalfUp, nanoUsdFromUsd, usdFromNanoUsd } from './money.js';

describe('money', () => {
  it('keeps decimal amounts exact', () => {
    expect(nanoUsdFromUsd('0.1') + nanoUsdFromUsd('0.2')).toBe(nanoUsdFromUsd('0.3'));
    expect(nanoUsdFromUsd(1e-7)).toBe(100n);
    expect(usdFromNanoUsd(1_500_000n)).toBe('0.0015');
    expect(usdFromNanoUsd(-2_000_000_001n)).toBe('-2.000000001');
  });

  it('rounds a tie up, also below zero', () => {
    expect(divideHalfUp(5n, 10n)).toBe(1n);
    expect(divideHalfUp(4n, 10n)).toBe(0n);
    expect(divideHalfUp(-5n, 10n)).toBe(0n);
    expect(divideHalfUp(-6n, 10n)).toBe(-1n);
    expect(centsFromNanoUsd(5_000_000n)).toBe(1n);
  });

  it.each(['', 'abc', '1,5', 'NaN', '0x10'])('refuses %p', (text) => {
    expect(() => nanoUsdFromUsd(text)).toThrow(RangeError);
  });
});
