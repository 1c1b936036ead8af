import { describe, expect, it } from '@jest/globals';
import { embeddings } from './embeddings.js';

const parsed = (input: unknown) => embeddings.validate({ model: 'm', input }, Buffer.alloc(0));

describe('an embeddings request', () => {
  it('is counted whole for the hold, but each input has the context window to itself', () => {
    const texts = Array.from({ length: 100 }, () => 'x'.repeat(400));
    expect(parsed(texts)).toMatchObject({ inputTokensEstimate: 10_000, contextTokens: 100 });
    expect(parsed([[1, 2, 3], [4]])).toMatchObject({ inputTokensEstimate: 4, contextTokens: 3, needs: { tokenArrays: true } });
    expect(parsed([1, 2, 3])).toMatchObject({ inputTokensEstimate: 3, contextTokens: 3 });
  });

  it('takes at most 2,048 inputs', () => {
    expect(() => parsed(Array.from({ length: 2048 }, () => 'a'))).not.toThrow();
    expect(() => parsed(Array.from({ length: 2049 }, () => 'a'))).toThrow('at most 2048');
  });
});
