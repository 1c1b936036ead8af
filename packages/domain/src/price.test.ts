import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { TIER_BUCKETS, costOf, perThousand, unbilledBuckets, type PriceVersion } from './price.js';
import { TIER_UNITS, tierProblems, tierUnit, type PriceTier } from './price-tiers.js';
import type { Meters } from './usage.js';

const PRICE: PriceVersion = { id: 'v1', input: '0.0025', output: '0.01' };

function tokens(inputTokens: number, outputTokens = 0, over: Partial<Meters> = {}): Meters {
  return { inputTokens, outputTokens, ...over };
}

function image(tiers: PriceTier[], over: Partial<Meters> = {}, price: Partial<PriceVersion> = {}): ReturnType<typeof costOf> {
  return costOf({ id: 'v1', tiers: { image: tiers }, ...price }, { inputTokens: 0, outputTokens: 0, images: 1, ...over }, 'images');
}

const USD = 1_000_000_000n;

describe('the price of tokens', () => {
  it('is (input x price_input + output x price_output) / 1000', () => {
    expect(costOf(PRICE, tokens(1200, 300), 'chat')).toEqual({ totalNano: 6_000_000n, components: { input: 3_000_000n, output: 3_000_000n } });
    expect(costOf(PRICE, tokens(0, 0), 'chat')).toEqual({ totalNano: 0n, components: {} });
  });

  it('is exact: rounded once per component, half up, and the same for a split count as for the whole', () => {
    expect(perThousand('0.0000005', 1)).toBe(1n);
    expect(perThousand('0.0000004', 1)).toBe(0n);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), fc.integer({ min: 0, max: 999_999 }), (count, micro) => {
        const price = `0.${String(micro).padStart(6, '0')}`;
        expect(perThousand(price, count)).toBe(BigInt(count) * BigInt(micro));
      }),
    );
  });

  it('is unknown, not zero, where a price that is needed is unknown', () => {
    expect(costOf(undefined, tokens(1), 'chat').totalNano).toBeNull();
    expect(costOf({ id: 'v', input: '1' }, tokens(1, 1), 'chat')).toEqual({ totalNano: null, components: { input: 1_000_000n } });
    expect(costOf({ id: 'v', input: '1' }, tokens(1, 0), 'chat').totalNano).toBe(1_000_000n);
    expect(costOf({ id: 'v', input: '0', output: '0' }, tokens(5, 5), 'chat').totalNano).toBe(0n);
  });

  it('counts cached, written and reasoning tokens once: at their own price, else as plain input and output', () => {
    const meters = tokens(1000, 100, { cachedInputTokens: 600, cacheWriteTokens: 300, reasoningTokens: 80 });
    expect(costOf({ ...PRICE, cachedInput: '0.00025', cacheWrite: '0.003125', reasoning: '0.02' }, meters, 'chat').components).toEqual({
      input: 250_000n,
      cached_input: 150_000n,
      cache_write: 937_500n,
      output: 200_000n,
      reasoning: 1_600_000n,
    });
    expect(costOf(PRICE, meters, 'chat')).toEqual(costOf(PRICE, tokens(1000, 100), 'chat'));
  });

  it('never charges more cached or reasoning tokens than there are', () => {
    const price = { ...PRICE, cachedInput: '0', cacheWrite: '0', reasoning: '0' };
    expect(costOf(price, tokens(10, 5, { cachedInputTokens: 99, cacheWriteTokens: 99, reasoningTokens: 99 }), 'chat').totalNano).toBe(0n);
  });

  it('of embeddings is their input only', () => {
    expect(costOf({ id: 'v', input: '0.02' }, tokens(1000, 7), 'embeddings')).toEqual({ totalNano: 20_000_000n, components: { input: 20_000_000n } });
    const tiers = { embedding: [{ unit: 'tokens_per_million' as const, price_per_unit: '0.02' }] };
    expect(costOf({ id: 'v', input: '9', tiers }, tokens(1_000_000), 'embeddings').totalNano).toBe(20_000_000n);
  });

  it('is graduated within a request by tiers, by tokens and not by thousands, the rest at the plain price', () => {
    const input: PriceTier[] = [
      { unit: 'tokens_per_million', price_per_unit: '2.5', max_units: 272_000 },
      { unit: 'tokens_per_thousand', price_per_unit: '0.00125', max_units: 128_000 },
    ];
    const cost = (count: number): bigint | null => costOf({ ...PRICE, tiers: { input } }, tokens(count), 'chat').totalNano;
    expect(cost(128_000)).toBe(160_000_000n);
    expect(cost(128_001)).toBe(160_002_500n);
    expect(cost(272_000)).toBe(520_000_000n);
    expect(cost(273_000)).toBe(522_500_000n);
    expect(costOf({ id: 'v', tiers: { input } }, tokens(273_000), 'chat').totalNano).toBeNull();
  });

  it('has buckets of its own for output, cache and reasoning', () => {
    const flat = (price_per_unit: string): PriceTier[] => [{ unit: 'tokens_per_million', price_per_unit }];
    const tiers = { output: flat('10'), cache: flat('0.5'), cache_write: flat('3'), reasoning: flat('20') };
    expect(
      costOf({ ...PRICE, tiers }, tokens(3000, 2000, { cachedInputTokens: 1000, cacheWriteTokens: 1000, reasoningTokens: 1000 }), 'chat').components,
    ).toEqual({
      input: 2_500_000n,
      cached_input: 500_000n,
      cache_write: 3_000_000n,
      output: 10_000_000n,
      reasoning: 20_000_000n,
    });
  });
});

describe('the price of images', () => {
  const HD: PriceTier = { unit: 'per_image', price_per_unit: '0.08', metadata: { quality: 'HD' } };
  const STANDARD: PriceTier = { unit: 'per_image', price_per_unit: '0.04', metadata: { quality: 'standard', approx_resolution: '1 MP', sku: 'x' } };
  const WIDE_HD: PriceTier = { unit: 'per_image', price_per_unit: '0.12', metadata: { quality: 'hd', resolution: '1792x1024' } };
  const PLAIN: PriceTier = { unit: 'per_image', price_per_unit: '0.05' };

  it('goes by tier, then price_image_cents, then the tokens reported', () => {
    expect(image([PLAIN], { images: 3 }, { imageCents: '7' })).toEqual({ totalNano: (15n * USD) / 100n, components: { image: (15n * USD) / 100n } });
    expect(costOf({ id: 'v', imageCents: '4.5' }, { ...tokens(0), images: 2 }, 'images')).toEqual({
      totalNano: 90_000_000n,
      components: { image: 90_000_000n },
    });
    expect(costOf(PRICE, { ...tokens(12, 272), images: 1 }, 'images').totalNano).toBe(2_750_000n);
  });

  it('takes the tier whose selectors all fit, in any case, and the one with most of them', () => {
    const tiers = [PLAIN, STANDARD, HD, WIDE_HD];
    const cents = (over: Partial<Meters>): bigint => image(tiers, over).totalNano! / 10_000_000n;
    expect(cents({ imageQuality: 'standard' })).toBe(4n);
    expect(cents({ imageQuality: 'hd' })).toBe(8n);
    expect(cents({ imageQuality: 'Hd', imageSize: '1792X1024' })).toBe(12n);
    expect(cents({ imageQuality: 'low' })).toBe(5n);
    expect(cents({})).toBe(5n);
  });

  it('ignores what only describes a tier', () => {
    expect(image([STANDARD], { imageQuality: 'standard' })).toMatchObject({ totalNano: 40_000_000n });
    expect(image([STANDARD], { imageQuality: 'standard' }).standInTier).toBeUndefined();
  });

  it('is that of the dearest tier, and says so, where none fits', () => {
    expect(image([STANDARD, WIDE_HD, HD], { imageQuality: 'low' })).toEqual({
      totalNano: 120_000_000n,
      components: { image: 120_000_000n },
      standInTier: true,
    });
  });

  it('prefers the bucket of the operation', () => {
    const tiers = {
      image: [PLAIN],
      image_generation: [{ ...PLAIN, price_per_unit: '0.06', metadata: { operation: 'IMAGE_GENERATION' } }],
      image_edit: [{ ...PLAIN, price_per_unit: '9' }],
    };
    expect(costOf({ id: 'v', tiers }, { ...tokens(0), images: 1 }, 'images').totalNano).toBe(60_000_000n);
  });

  it('is graduated by images; beyond the last ceiling the last tier counts', () => {
    const tiers: PriceTier[] = [
      { unit: 'per_image', price_per_unit: '0.02', max_units: 4 },
      { unit: 'per_image', price_per_unit: '0.04', max_units: 1 },
    ];
    expect([1, 2, 4, 6].map((images) => image(tiers, { images }).totalNano! / 10_000_000n)).toEqual([4n, 6n, 10n, 14n]);
    const open: PriceTier[] = [{ unit: 'per_image', price_per_unit: '0.01' }, ...tiers];
    expect(image(open, { images: 6 }).totalNano! / 10_000_000n).toBe(12n);
  });

  it('can go by megapixels, at 1024x1024 where nobody tells the size', () => {
    const tiers: PriceTier[] = [{ unit: 'per_megapixel', price_per_unit: '0.03' }];
    expect(image(tiers, { imageSize: '2000x1000', images: 2 }).totalNano).toBe(120_000_000n);
    expect(image(tiers).totalNano).toBe(31_457_280n);
    expect(image(tiers, { imageSize: 'auto' }).totalNano).toBe(31_457_280n);
    const square: PriceTier[] = [{ ...PLAIN, metadata: { resolution: '1024x1024' } }];
    expect(image(square).standInTier).toBeUndefined();
  });

  it('is unknown, not zero, where nothing prices an image; zero where the model is free', () => {
    expect(costOf({ ...PRICE }, { ...tokens(0), images: 1 }, 'images').totalNano).toBeNull();
    expect(costOf(undefined, { ...tokens(0), images: 1 }, 'images').totalNano).toBeNull();
    expect(costOf({ id: 'v', input: '0', output: '0' }, { ...tokens(0), images: 1 }, 'images').totalNano).toBe(0n);
    expect(costOf({ id: 'v', imageCents: '4' }, { ...tokens(0), images: 0 }, 'images').totalNano).toBe(0n);
  });

  it('does not take tiers that count something else for images', () => {
    expect(image([{ unit: 'tokens_per_million', price_per_unit: '40' }], {}, { imageCents: '4' }).totalNano).toBe(40_000_000n);
  });
});

describe('the tiers of a catalog entry', () => {
  const ok = { unit: 'per_image', price_per_unit: '0.04' };

  it('are checked for unit, price, ceiling and one kind of unit per bucket', () => {
    expect(
      tierProblems({
        image: [ok, { ...ok, unit: 'PER_MEGAPIXEL', price_per_unit: 0, max_units: 2 }],
        input: [{ unit: 'tokens_per_million', price_per_unit: 2.5 }],
      }),
    ).toEqual([]);
    expect(tierProblems({ image: [{ ...ok, unit: '' }] })).toMatchObject([{ path: ['image', 0, 'unit'] }]);
    expect(tierProblems({ image: [{ ...ok, price_per_unit: '-1' }] })).toMatchObject([{ path: ['image', 0, 'price_per_unit'] }]);
    expect(tierProblems({ image: [{ ...ok, price_per_unit: 'x' }] })).toMatchObject([{ path: ['image', 0, 'price_per_unit'] }]);
    expect(tierProblems({ image: [{ ...ok, max_units: 0 }] })).toMatchObject([{ path: ['image', 0, 'max_units'] }]);
    const mixed = [ok, { ...ok, unit: 'tokens_per_million' }];
    expect(tierProblems({ image: mixed })).toEqual([{ path: ['image'], message: 'its tiers must count the same thing, not images and tokens' }]);
    expect(tierProblems({ input: [ok] })).toEqual([{ path: ['input', 0, 'unit'], message: 'must count tokens here' }]);
  });

  it('have one spelling of each unit', () => {
    expect(tierUnit(' Per_Image ')).toBe('per_image');
    expect(tierUnit('per_pixel')).toBeUndefined();
  });
});

describe('a bucket of tiers', () => {
  const everything = { inputTokens: 100, cachedInputTokens: 20, cacheWriteTokens: 20, outputTokens: 100, reasoningTokens: 20, images: 1, audioSeconds: 60 };
  const price = { id: 'v1', input: '1', output: '1', imageCents: '1' };
  const bills = (tiers: PriceVersion['tiers']) =>
    (['chat', 'embeddings', 'images'] as const).map((name) => costOf({ ...price, tiers }, everything, name).totalNano);

  it.each(TIER_BUCKETS)('that changes no cost of any operation is told as unbilled, any other is not: %s', (bucket) => {
    for (const unit of TIER_UNITS) {
      const tiers = { [bucket]: [{ unit, price_per_unit: '999' }] };
      // What cannot be saved needs no telling.
      if (tierProblems(tiers).length > 0) continue;
      const isBilled = String(bills(tiers)) !== String(bills({}));
      expect([unit, unbilledBuckets(tiers)]).toEqual([unit, isBilled ? [] : [bucket]]);
    }
  });

  it('for images in general is told as unbilled beside one for their generation, which takes its place', () => {
    const own: PriceTier = { unit: 'per_image', price_per_unit: '2' };
    const general: PriceTier = { unit: 'per_image', price_per_unit: '999' };
    expect(bills({ image: [general], image_generation: [own] })).toEqual(bills({ image_generation: [own] }));
    expect(unbilledBuckets({ image: [general], image_generation: [own] })).toEqual(['image']);
  });
});
