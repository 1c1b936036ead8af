import { divideHalfUp, parseDecimal, NANO_PER_USD, type NanoUsd } from './money.js';

/**
 * Tiered prices. A bucket holds tiers for one kind of unit; tiers may be bound to a quality, operation or resolution, and
 * tiers with the same binding are graduated: the part of a request's units up to the first ceiling costs the first price,
 * the next part the next.
 */

/** Exact decimal text; USD per 1 000 tokens unless a tier's unit says otherwise. */
export type DecimalText = string;

export const TIER_UNITS = [
  'per_image',
  'per_megapixel',
  'per_second',
  'per_minute',
  'tokens_per_thousand',
  'tokens_per_million',
  'per_million_characters',
] as const;

export type TierUnit = (typeof TIER_UNITS)[number];

export interface PriceTier {
  unit: TierUnit;
  price_per_unit: DecimalText;
  /** Inclusive ceiling within one request, in tokens or images; the open tier comes last. */
  max_units?: number;
  metadata?: Record<string, string>;
}

/** What a tier's metadata can be bound to; everything else in it only describes. */
export interface TierSelection {
  quality?: string;
  operation?: string;
  /** Such as "1024x1024". */
  resolution?: string;
}

const SELECTORS = ['quality', 'operation', 'resolution'] as const;

type UnitFamily = 'images' | 'tokens' | 'time' | 'characters';

const FAMILIES: Readonly<Record<TierUnit, UnitFamily>> = {
  per_image: 'images',
  per_megapixel: 'images',
  per_second: 'time',
  per_minute: 'time',
  tokens_per_thousand: 'tokens',
  tokens_per_million: 'tokens',
  per_million_characters: 'characters',
};

/** Buckets whose quantity can only be tokens. */
const TOKEN_BUCKETS: ReadonlySet<string> = new Set(['input', 'output', 'cache', 'cache_write', 'reasoning', 'embedding']);

/** An exact sum of USD amounts that is rounded once, at the end. */
export class ExactSum {
  private digits = 0n;
  private scale = 0;

  /** Adds price x count / 10^divisorScale. */
  add(price: string, count: bigint, divisorScale = 0): void {
    const decimal = parseDecimal(price);
    let digits = decimal.digits * count;
    const scale = decimal.scale + divisorScale;
    if (scale > this.scale) {
      this.digits *= 10n ** BigInt(scale - this.scale);
      this.scale = scale;
    } else {
      digits *= 10n ** BigInt(this.scale - scale);
    }
    this.digits += digits;
  }

  toNano(): NanoUsd {
    return divideHalfUp(this.digits * NANO_PER_USD, 10n ** BigInt(this.scale));
  }
}

export interface SelectedTiers {
  /** Ascending by ceiling, the open tier last. */
  tiers: PriceTier[];
  /** No tier fits the request, so the dearest of the bucket stands in: better too dear and told than too cheap. */
  isStandIn: boolean;
}

/**
 * The tiers that fit: all of their selectors equal the request's values in any case, and as many of them as possible.
 * `costOfOne` tells what a tier would cost alone; it decides where nothing fits. Undefined for an empty bucket.
 */
export function selectTiers(bucket: readonly PriceTier[], selection: TierSelection, costOfOne: (tier: PriceTier) => NanoUsd): SelectedTiers | undefined {
  if (bucket.length === 0) return undefined;
  let best: { key: string; count: number } | undefined;
  for (const tier of bucket) {
    const fit = fittingSelectors(tier, selection);
    if (fit !== undefined && (best === undefined || fit > best.count)) best = { key: bindingOf(tier), count: fit };
  }
  if (best !== undefined) return { tiers: sortTiers(bucket.filter((tier) => bindingOf(tier) === best.key)), isStandIn: false };
  const dearest = bucket.reduce((a, b) => (costOfOne(b) > costOfOne(a) ? b : a));
  return { tiers: [{ ...dearest, max_units: undefined }], isStandIn: true };
}

/** How many selectors the tier has, all of them equal to the request; undefined when one differs. */
function fittingSelectors(tier: PriceTier, selection: TierSelection): number | undefined {
  let count = 0;
  for (const name of SELECTORS) {
    const wanted = tier.metadata?.[name];
    if (wanted === undefined) continue;
    if (selection[name]?.toLowerCase() !== wanted.toLowerCase()) return undefined;
    count++;
  }
  return count;
}

function bindingOf(tier: PriceTier): string {
  return SELECTORS.map((name) => `${name}=${tier.metadata?.[name]?.toLowerCase() ?? ''}`).join('\n');
}

function sortTiers(tiers: PriceTier[]): PriceTier[] {
  return [...tiers].sort((a, b) => (a.max_units ?? Number.POSITIVE_INFINITY) - (b.max_units ?? Number.POSITIVE_INFINITY));
}

/** Splits a count over graduated tiers: units per tier, and what lies beyond the last ceiling. */
export function graduate(tiers: readonly PriceTier[], count: number): { parts: [PriceTier, number][]; rest: number } {
  const parts: [PriceTier, number][] = [];
  let done = 0;
  for (const tier of tiers) {
    const upTo = Math.min(count, tier.max_units ?? count);
    if (upTo > done) {
      parts.push([tier, upTo - done]);
      done = upTo;
    }
  }
  return { parts, rest: count - done };
}

export interface TierProblem {
  /** Place below `pricing_tiers`, such as `['image', 0, 'unit']`. */
  path: (string | number)[];
  message: string;
}

type UncheckedTiers = Readonly<Record<string, readonly { unit: string; price_per_unit: string | number; max_units?: number }[] | undefined>>;

/** Why the tiers of a catalog entry cannot be used; empty when they can. */
export function tierProblems(buckets: UncheckedTiers): TierProblem[] {
  return Object.entries(buckets).flatMap(([bucket, tiers = []]) => {
    const problems: TierProblem[] = [];
    const families = new Set<UnitFamily>();
    tiers.forEach((tier, i) => {
      const unit = tierUnit(tier.unit);
      if (unit === undefined) problems.push({ path: [bucket, i, 'unit'], message: `must be one of ${TIER_UNITS.join(', ')}` });
      else {
        families.add(FAMILIES[unit]);
        if (TOKEN_BUCKETS.has(bucket) && FAMILIES[unit] !== 'tokens') problems.push({ path: [bucket, i, 'unit'], message: 'must count tokens here' });
      }
      if (!isPrice(tier.price_per_unit)) problems.push({ path: [bucket, i, 'price_per_unit'], message: 'must be a number of USD, 0 or more' });
      if (tier.max_units !== undefined && !(tier.max_units > 0)) problems.push({ path: [bucket, i, 'max_units'], message: 'must be above 0' });
    });
    if (families.size > 1) problems.push({ path: [bucket], message: `its tiers must count the same thing, not ${[...families].join(' and ')}` });
    return problems;
  });
}

/** The unit in its one spelling; undefined for an unknown one. */
export function tierUnit(text: string): TierUnit | undefined {
  const unit = text.trim().toLowerCase();
  return Object.hasOwn(FAMILIES, unit) ? (unit as TierUnit) : undefined;
}

function isPrice(value: string | number): boolean {
  try {
    return parseDecimal(value).digits >= 0n;
  } catch {
    return false;
  }
}
