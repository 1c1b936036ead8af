import { NANO_PER_USD, divideHalfUp, parseDecimal, type NanoUsd } from './money.js';
import type { Operation } from './operation.js';
import type { Meters } from './usage.js';

/** Exact decimal text; USD per 1 000 tokens unless a tier's unit says otherwise. */
export type DecimalText = string;

export type TierUnit =
  | 'per_image'
  | 'per_megapixel'
  | 'per_second'
  | 'per_minute'
  | 'tokens_per_thousand'
  | 'tokens_per_million'
  | 'per_million_characters';

export interface PriceTier {
  unit: TierUnit;
  price_per_unit: DecimalText;
  /** Inclusive ceiling within one request, in tokens or images; the open tier comes last. */
  max_units?: number;
  metadata?: Record<string, string>;
}

export type TierBucket =
  | 'image'
  | 'image_generation'
  | 'image_edit'
  | 'image_variation'
  | 'input'
  | 'output'
  | 'cache'
  | 'cache_write'
  | 'reasoning'
  | 'embedding'
  | 'audio'
  | 'tts'
  | 'video';

/** One immutable version of a route's prices. A price that is absent is unknown, which is not the same as zero. */
export interface PriceVersion {
  id: string;
  /** USD per 1 000 tokens. */
  input?: DecimalText;
  output?: DecimalText;
  cachedInput?: DecimalText;
  cacheWrite?: DecimalText;
  reasoning?: DecimalText;
  /** USD cents per image, when no tier matches. */
  imageCents?: DecimalText;
  tiers?: Partial<Record<TierBucket, PriceTier[]>>;
}

export type CostComponent = 'input' | 'cached_input' | 'cache_write' | 'output' | 'reasoning' | 'image' | 'audio';

export interface Cost {
  /** Sum of the components; null when a price that the usage needs is unknown. */
  totalNano: NanoUsd | null;
  components: Partial<Record<CostComponent, NanoUsd>>;
}

/** price (USD per 1 000 units) x count, in nano-USD, rounded half up once. */
export function perThousand(price: DecimalText, count: number): NanoUsd {
  const { digits, scale } = parseDecimal(price);
  return divideHalfUp(digits * BigInt(count) * NANO_PER_USD, 1000n * 10n ** BigInt(scale));
}

/**
 * Cost of a call: (input x price_input + output x price_output) / 1000 USD, the specification's formula, with the cached,
 * cache-written and reasoning parts at their own price where one is set and at the plain price otherwise.
 */
export function costOf(price: PriceVersion | undefined, meters: Meters, operation: Operation): Cost {
  const components: Cost['components'] = {};
  if (operation === 'images') return imageCost(price, meters);
  const cached = Math.min(meters.cachedInputTokens ?? 0, meters.inputTokens);
  const written = Math.min(meters.cacheWriteTokens ?? 0, meters.inputTokens - cached);
  const reasoning = Math.min(meters.reasoningTokens ?? 0, meters.outputTokens);
  const parts: [CostComponent, DecimalText | undefined, number][] = [
    ['input', price?.input, meters.inputTokens - cached - written],
    ['cached_input', price?.cachedInput ?? price?.input, cached],
    ['cache_write', price?.cacheWrite ?? price?.input, written],
    ['output', price?.output, meters.outputTokens - reasoning],
    ['reasoning', price?.reasoning ?? price?.output, reasoning],
  ];
  let total: NanoUsd | null = 0n;
  for (const [name, unitPrice, count] of parts) {
    if (count <= 0) continue;
    if (unitPrice === undefined) {
      total = null;
      continue;
    }
    const nano = perThousand(unitPrice, count);
    components[name] = nano;
    if (total !== null) total += nano;
  }
  return { totalNano: total, components };
}

function imageCost(price: PriceVersion | undefined, meters: Meters): Cost {
  const images = meters.images ?? 0;
  if (images === 0) return { totalNano: 0n, components: {} };
  if (price?.imageCents === undefined) return { totalNano: null, components: {} };
  const { digits, scale } = parseDecimal(price.imageCents);
  const nano = divideHalfUp(digits * BigInt(images) * NANO_PER_USD, 100n * 10n ** BigInt(scale));
  return { totalNano: nano, components: { image: nano } };
}
