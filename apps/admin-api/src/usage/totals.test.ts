import { describe, expect, it } from '@jest/globals';
import { centsFromNanoUsd, microsFromNanoUsd, usdFromNanoUsd } from '@omg/domain';
import { addSums, NO_SUMS, pointsBody, totalsBody } from './totals.js';

const sums = (costNano: bigint) => ({ ...NO_SUMS, requests: 1, costNano });

describe('amounts of reports', () => {
  it('come from nano-USD and never from cents: a thousand requests below a cent are not nothing', () => {
    const each = 239_400n;
    const total = addSums(Array.from({ length: 1_000 }, () => sums(each)));
    expect(totalsBody(sums(each))).toMatchObject({ cost_cents: 0, cost_usd: 0.0002394, cost_usd_micros: 239 });
    expect(totalsBody(total)).toMatchObject({ cost_cents: 24, cost_usd: 0.2394, cost_usd_micros: 239_400 });
    expect(pointsBody([0, 86_400_000], 'UTC', [{ ...total, group: 1, id: '' }])).toMatchObject([{ cost_usd_micros: 0 }, { cost_usd_micros: 239_400 }]);
  });

  it('are the exact ones on the short way for small amounts as well, around every point where they round', () => {
    const limits = [
      0n,
      1n,
      499n,
      500n,
      501n,
      4_999_999n,
      5_000_000n,
      5_000_001n,
      7_999_999_999_999n,
      8_000_000_000_000n,
      8_000_000_000_001n,
      10n ** 17n + 3n,
      -5_000_000n,
    ];
    const around = Array.from({ length: 2_000 }, (_, index) => BigInt(index) * 3_999_999_989n + (index % 2 === 0 ? 4_999_999n : 5_000_000n));
    for (const nano of [...limits, ...around])
      expect([nano, totalsBody(sums(nano))]).toEqual([
        nano,
        expect.objectContaining({
          cost_cents: Number(centsFromNanoUsd(nano)),
          cost_usd: Number(usdFromNanoUsd(nano)),
          cost_usd_micros: Number(microsFromNanoUsd(nano)),
        }),
      ]);
  });
});
