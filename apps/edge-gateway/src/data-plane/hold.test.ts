import { describe, expect, it } from '@jest/globals';
import type { ModelEntry } from '../snapshot/config-snapshot.js';
import type { ParsedRequest } from './endpoint.js';
import { estimateHold, outputTokensForHold } from './hold.js';

const price = { id: 'p', input: '0.001', output: '0.002' };
const modelOf = (maxOutputTokens: number) => ({ routes: [{ doc: { maxOutputTokens }, price }] }) as unknown as ModelEntry;
const asking = (outputTokensMax: number | undefined, choices = 1) =>
  ({ inputTokensEstimate: 10, inputTokensMax: 40, outputTokensMax, needs: { choices } }) as ParsedRequest;
const OPTIONS = { strict: false, outputTokensDefault: 1_000 };

describe('what a request is held for', () => {
  it('is the output that was asked for, capped by the most that the model writes', () => {
    expect(estimateHold(modelOf(0), 'chat', asking(500), OPTIONS).tokens).toBe(510);
    expect(estimateHold(modelOf(100), 'chat', asking(500, 2), OPTIONS).tokens).toBe(210);
    expect(estimateHold(modelOf(0), 'chat', asking(undefined, 3), OPTIONS).tokens).toBe(3_010);
  });

  it('covers, where the budget is strict, an answer that is all reasoning and an input that is all written to a cache, at their dearer prices', () => {
    const dear = { routes: [{ doc: { maxOutputTokens: 0 }, price: { ...price, reasoning: '0.02', cacheWrite: '0.01' } }] } as unknown as ModelEntry;
    // 40 tokens of input at most, 100 of output: 40 x 0.01 and 100 x 0.02 USD per thousand.
    const strict = estimateHold(dear, 'chat', asking(100), { ...OPTIONS, strict: true });
    expect(strict.holdNano).toBe(2_400_000n);
    expect(strict.holdMinNano).toBe(420_000n);
    expect(outputTokensForHold(dear, 'chat', asking(100), 1_400_000n, 100)).toBe(50);
    expect(estimateHold(dear, 'chat', asking(100), OPTIONS).holdNano).toBe(210_000n);
  });

  it('is, where the budget is strict, never less than one token for each choice: no provider can be told to write fewer', () => {
    const { holdMinNano } = estimateHold(modelOf(0), 'chat', asking(500, 5), { ...OPTIONS, strict: true });
    // 40 tokens of input at most and 5 of output.
    expect(holdMinNano).toBe(50_000n);
    expect(outputTokensForHold(modelOf(0), 'chat', asking(500, 5), holdMinNano, 500)).toBe(1);
  });

  it('stays a number that windows and rows can count with, whatever a client asks of a model without a known maximum', () => {
    for (const strict of [false, true]) {
      const { tokens, holdNano } = estimateHold(modelOf(0), 'chat', asking(Number.MAX_SAFE_INTEGER * 128, 128), { ...OPTIONS, strict });
      expect(tokens).toBeLessThan(2 ** 31);
      expect(holdNano).toBeLessThan(10n ** 18n);
    }
  });
});
