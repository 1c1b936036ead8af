import { describe, expect, it } from '@jest/globals';
import { metersFromUsage, usageFromMeters } from './usage.js';

describe('usage', () => {
  it('counts cached tokens inside the input and reasoning inside the output', () => {
    expect(
      metersFromUsage({
        prompt_tokens: 1200,
        completion_tokens: 238,
        total_tokens: 1438,
        prompt_tokens_details: { cached_tokens: 1024, cache_write_tokens: 100 },
        completion_tokens_details: { reasoning_tokens: 192 },
      }),
    ).toEqual({ inputTokens: 1200, outputTokens: 238, cachedInputTokens: 1024, cacheWriteTokens: 100, reasoningTokens: 192 });
  });

  it('reads the spellings of other servers', () => {
    expect(metersFromUsage({ prompt_tokens: 50, total_tokens: 60, cached_tokens: 48, prompt_tokens_details: null })).toEqual({
      inputTokens: 50,
      outputTokens: 10,
      cachedInputTokens: 48,
    });
    expect(metersFromUsage({ prompt_tokens: 8, total_tokens: 8 })).toEqual({ inputTokens: 8, outputTokens: 0 });
    expect(metersFromUsage({ input_tokens: 10, output_tokens: 4160, total_tokens: 4170 })).toEqual({ inputTokens: 10, outputTokens: 4160 });
  });

  it.each([null, undefined, {}, [], 'x', { prompt_tokens: null }, { prompt_tokens: -1 }, { prompt_tokens: Number.NaN }])('finds none in %p', (value) => {
    expect(metersFromUsage(value)).toBeUndefined();
  });

  it('never counts more cached or reasoning tokens than there are', () => {
    const meters = { inputTokens: 5, outputTokens: 1, cachedInputTokens: 5, reasoningTokens: 1 };
    expect(
      metersFromUsage({
        prompt_tokens: 5,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 9, cache_write_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 7 },
      }),
    ).toEqual(meters);
    expect(metersFromUsage(usageFromMeters(meters))).toEqual(meters);
  });
});
