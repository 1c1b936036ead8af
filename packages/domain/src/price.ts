import { NANO_PER_USD, divideHalfUp, parseDecimal, type NanoUsd } from './money.js';
import { ExactSum, graduate, selectTiers, type DecimalText, type PriceTier, type TierSelection, type TierUnit } from './price-tiers.js';
import type { Operation } from './operation.js';
import type { Meters } from './usage.js';

/** What a list of price tiers may be for. */
export const TIER_BUCKETS = [
  'image',
  'image_generation',
  'image_edit',
  'image_variation',
  'input',
  'output',
  'cache',
  'cache_write',
  'reasoning',
  'embedding',
  'audio',
  'tts',
  'video',
] as const;
export type TierBucket = (typeof TIER_BUCKETS)[number];

/** Kept for information: the gateway serves none of the operations that these are for, so nothing is billed by them. */
const UNBILLED_BUCKETS: ReadonlySet<string> = new Set<TierBucket>(['image_edit', 'image_variation', 'audio', 'tts', 'video']);

/**
 * The buckets of a catalog entry by which nothing is billed: those of operations that are not served, those for images of
 * which no tier counts images, and the general one for images beside one of its own for their generation.
 */
export function unbilledBuckets(tiers: Readonly<Record<string, readonly { unit: string }[] | undefined>>): string[] {
  return Object.entries(tiers).flatMap(([bucket, list = []]) => {
    if (UNBILLED_BUCKETS.has(bucket)) return [bucket];
    if (bucket !== 'image' && bucket !== 'image_generation') return [];
    return (bucket === 'image' && tiers['image_generation'] !== undefined) || !list.some(countsImages) ? [bucket] : [];
  });
}

function countsImages({ unit }: { unit: string }): boolean {
  return unit === 'per_image' || unit === 'per_megapixel';
}

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
  /** No tier fitted the request and the dearest one stood in: the catalog entry needs another tier. */
  standInTier?: boolean;
}

/** price (USD per 1 000 units) x count, in nano-USD, rounded half up once. */
export function perThousand(price: DecimalText, count: number): NanoUsd {
  const { numerator, denominator } = rateOf(price);
  return divideHalfUp(numerator * BigInt(count), denominator);
}

interface Rate {
  numerator: bigint;
  denominator: bigint;
}

/** Prices are few and calls are many: each text is parsed once. The bound keeps a changing catalog from growing it for ever. */
const RATES_MAX = 4096;
const rates = new Map<DecimalText, Rate>();

function rateOf(price: DecimalText): Rate {
  let rate = rates.get(price);
  if (rate === undefined) {
    const { digits, scale } = parseDecimal(price);
    rate = { numerator: digits * NANO_PER_USD, denominator: 1000n * 10n ** BigInt(scale) };
    if (rates.size >= RATES_MAX) rates.clear();
    rates.set(price, rate);
  }
  return rate;
}

/**
 * Cost of a call: (input x price_input + output x price_output) / 1000 USD, the specification's formula. Cached,
 * cache-written and reasoning tokens cost their own price where one is set, and count as plain input or output otherwise.
 * Images cost their tier, else `imageCents`, else the tokens that the provider reports for them.
 */
export function costOf(price: PriceVersion | undefined, meters: Meters, operation: Operation): Cost {
  return operation === 'images' ? imageCost(price, meters) : tokenCost(price, meters, operation);
}

function tokenCost(price: PriceVersion | undefined, meters: Meters, operation: Operation): Cost {
  const { tiers } = price ?? {};
  const cached = price?.cachedInput !== undefined || tiers?.cache !== undefined ? Math.min(meters.cachedInputTokens ?? 0, meters.inputTokens) : 0;
  const written = price?.cacheWrite !== undefined || tiers?.cache_write !== undefined ? Math.min(meters.cacheWriteTokens ?? 0, meters.inputTokens - cached) : 0;
  const reasoning = price?.reasoning !== undefined || tiers?.reasoning !== undefined ? Math.min(meters.reasoningTokens ?? 0, meters.outputTokens) : 0;
  const cost: Cost & { totalNano: NanoUsd | null } = { totalNano: 0n, components: {} };
  const inputTiers = operation === 'embeddings' ? (tiers?.embedding ?? tiers?.input) : tiers?.input;
  addTokens(cost, 'input', price?.input, inputTiers, meters.inputTokens - cached - written);
  addTokens(cost, 'cached_input', price?.cachedInput ?? price?.input, tiers?.cache, cached);
  addTokens(cost, 'cache_write', price?.cacheWrite ?? price?.input, tiers?.cache_write, written);
  // Embeddings have no output to pay for, whatever a server reports.
  if (operation === 'embeddings') return cost;
  addTokens(cost, 'output', price?.output, tiers?.output, meters.outputTokens - reasoning);
  addTokens(cost, 'reasoning', price?.reasoning ?? price?.output, tiers?.reasoning, reasoning);
  return cost;
}

function addTokens(cost: Cost, name: CostComponent, price: DecimalText | undefined, tiers: readonly PriceTier[] | undefined, count: number): void {
  if (count <= 0) return;
  const nano = tiers === undefined ? price && perThousand(price, count) : tieredTokens(cost, price, tiers, count);
  if (nano === undefined) {
    cost.totalNano = null;
    return;
  }
  cost.components[name] = nano as NanoUsd;
  if (cost.totalNano !== null) cost.totalNano += nano as NanoUsd;
}

const TOKENS_SCALE: Partial<Record<TierUnit, number>> = { tokens_per_thousand: 3, tokens_per_million: 6 };

/** Tokens over graduated tiers; those beyond the last ceiling at the plain price. Undefined: a price is unknown. */
function tieredTokens(cost: Cost, price: DecimalText | undefined, bucket: readonly PriceTier[], count: number): NanoUsd | undefined {
  const usable = bucket.filter((tier) => TOKENS_SCALE[tier.unit] !== undefined);
  const selected = selectTiers(usable, {}, (tier) => tokensAt(tier, count));
  if (selected?.isStandIn) cost.standInTier = true;
  const { parts, rest } = graduate(selected?.tiers ?? [], count);
  const sum = new ExactSum();
  for (const [tier, tokens] of parts) sum.add(tier.price_per_unit, BigInt(tokens), TOKENS_SCALE[tier.unit]);
  if (rest > 0) {
    if (price === undefined) return undefined;
    sum.add(price, BigInt(rest), 3);
  }
  return sum.toNano();
}

function tokensAt(tier: PriceTier, count: number): NanoUsd {
  const sum = new ExactSum();
  sum.add(tier.price_per_unit, BigInt(count), TOKENS_SCALE[tier.unit]);
  return sum.toNano();
}

/** The size that counts where neither the request nor the answer tells it. */
const DEFAULT_SIZE = '1024x1024';

function imageCost(price: PriceVersion | undefined, meters: Meters): Cost {
  const images = meters.images ?? 0;
  const tiered = images > 0 ? tieredImages(price, meters, images) : undefined;
  if (tiered !== undefined) return tiered;
  if (images > 0 && price?.imageCents !== undefined) {
    const sum = new ExactSum();
    sum.add(price.imageCents, BigInt(images), 2);
    const nano = sum.toNano();
    return { totalNano: nano, components: { image: nano } };
  }
  const tokens = meters.inputTokens + meters.outputTokens;
  // Images without tokens or an image price are not free: their cost is unknown, unless the model's prices are zero.
  if (images > 0 && tokens === 0) return { totalNano: isFree(price) ? 0n : null, components: {} };
  return tokenCost(price, meters, 'images');
}

function isFree(price: PriceVersion | undefined): boolean {
  return price?.input !== undefined && price.output !== undefined && rateOf(price.input).numerator === 0n && rateOf(price.output).numerator === 0n;
}

function tieredImages(price: PriceVersion | undefined, meters: Meters, images: number): Cost | undefined {
  const bucket = (price?.tiers?.image_generation ?? price?.tiers?.image)?.filter(countsImages);
  if (bucket === undefined || bucket.length === 0) return undefined;
  const size = meters.imageSize ?? DEFAULT_SIZE;
  const selection: TierSelection = { operation: 'image_generation', resolution: size };
  if (meters.imageQuality !== undefined) selection.quality = meters.imageQuality;
  const costAt = (parts: readonly [PriceTier, number][]): NanoUsd => {
    const sum = new ExactSum();
    for (const [tier, count] of parts) {
      if (tier.unit === 'per_image') sum.add(tier.price_per_unit, BigInt(count));
      else sum.add(tier.price_per_unit, BigInt(count) * pixelsOf(size), 6);
    }
    return sum.toNano();
  };
  const selected = selectTiers(bucket, selection, (tier) => costAt([[tier, images]]))!;
  const { parts, rest } = graduate(selected.tiers, images);
  // Beyond the last ceiling images cost what the last tier says.
  if (rest > 0) parts.push([selected.tiers.at(-1)!, rest]);
  const nano = costAt(parts);
  return { totalNano: nano, components: { image: nano }, ...(selected.isStandIn ? { standInTier: true } : {}) };
}

function pixelsOf(size: string): bigint {
  const [, width, height] = /^(\d{1,6})\s*[xX]\s*(\d{1,6})$/.exec(size.trim()) ?? ['', '1024', '1024'];
  return BigInt(width!) * BigInt(height!);
}
