/**
 * What a call consumed, in one normal form for all providers.
 *
 * `inputTokens` includes cached and cache-written tokens, and `outputTokens` includes reasoning tokens, as in OpenAI's
 * usage object; the pricing rules subtract the parts that have a price of their own, so nothing is priced twice.
 */
export interface Meters {
  inputTokens: number;
  outputTokens: number;
  /** Part of inputTokens that was read from the provider's prompt cache. */
  cachedInputTokens?: number;
  /** Part of inputTokens that was written to the provider's prompt cache. */
  cacheWriteTokens?: number;
  /** Part of outputTokens spent on reasoning. */
  reasoningTokens?: number;
  /** Images returned. */
  images?: number;
  /** Width x height in pixels of each image, such as "1024x1024". */
  imageSize?: string;
  imageQuality?: string;
  /** Seconds of audio, characters of speech input. */
  audioSeconds?: number;
  characters?: number;
}

/** Who counted: the provider, our estimate, or nobody (nothing was consumed). */
export type UsageSource = 'provider' | 'estimate' | 'none';

export const NO_USAGE: Meters = Object.freeze({ inputTokens: 0, outputTokens: 0 });

/** Both together; the size and quality of images are those of the second where it tells them. */
export function addMeters(a: Meters, b: Meters): Meters {
  const sum: Meters = { ...a, ...b };
  for (const [name, count] of Object.entries(a) as [keyof Meters, number | string][]) {
    const other = b[name];
    if (typeof count === 'number' && typeof other === 'number') Object.assign(sum, { [name]: count + other });
  }
  return sum;
}

export function totalTokens(meters: Meters): number {
  return meters.inputTokens + meters.outputTokens;
}
