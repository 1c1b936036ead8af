import { Prisma } from '@omg/database';

/** USD per 1 000 tokens; undefined is unknown, not zero. */
export interface Prices {
  input?: number;
  output?: number;
  cachedInput?: number;
  cacheWrite?: number;
  reasoning?: number;
  /** USD cents per image. */
  imageCents?: number;
  tiers: Record<string, PriceTierInput[]>;
}

export interface PriceTierInput {
  unit: string;
  price_per_unit: number;
  max_units?: number;
  metadata?: Record<string, string>;
}

export interface PriceColumns {
  priceInput: Prisma.Decimal | null;
  priceOutput: Prisma.Decimal | null;
  priceCached: Prisma.Decimal | null;
  priceCacheWrite: Prisma.Decimal | null;
  priceReasoning: Prisma.Decimal | null;
  priceImageCents: Prisma.Decimal | null;
  /** Bucket -> tiers, with prices as decimal text, as in the route's document. */
  tiers: Record<string, StoredTier[]>;
}

export interface StoredTier {
  unit: string;
  price_per_unit: string;
  max_units?: number;
  metadata?: Record<string, string>;
}

const decimal = (value: number | undefined): Prisma.Decimal | null => (value === undefined ? null : new Prisma.Decimal(value));

export function priceColumns(prices: Prices): PriceColumns {
  const tiers = Object.entries(prices.tiers).map(([bucket, list]) => [
    bucket,
    list.map((tier) => ({ ...tier, price_per_unit: new Prisma.Decimal(tier.price_per_unit).toFixed() })),
  ]);
  return {
    priceInput: decimal(prices.input),
    priceOutput: decimal(prices.output),
    priceCached: decimal(prices.cachedInput),
    priceCacheWrite: decimal(prices.cacheWrite),
    priceReasoning: decimal(prices.reasoning),
    priceImageCents: decimal(prices.imageCents),
    tiers: Object.fromEntries(tiers) as Record<string, StoredTier[]>,
  };
}

const PRICE_FIELDS = ['priceInput', 'priceOutput', 'priceCached', 'priceCacheWrite', 'priceReasoning', 'priceImageCents'] as const;
type StoredPrice = Omit<PriceColumns, 'tiers'> & { tiers: unknown };

/** True when nobody gave a price: such a route gets no price version, and its cost stays unknown. */
export function isUnpriced(price: PriceColumns): boolean {
  return PRICE_FIELDS.every((field) => price[field] === null) && Object.keys(price.tiers).length === 0;
}

/** Whether a price version says the same as these columns. An absent version equals no price. */
export function samePrice(version: StoredPrice | undefined, price: PriceColumns): boolean {
  if (!version) return isUnpriced(price);
  const same = PRICE_FIELDS.every((field) => version[field]?.toFixed() === price[field]?.toFixed());
  return same && tiersText(version.tiers) === tiersText(price.tiers);
}

/** Postgres orders the fields of JSON its own way. */
function tiersText(tiers: unknown): string {
  const buckets = Object.entries(tiers as Record<string, StoredTier[]>).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    buckets.map(([bucket, list]) => [
      bucket,
      list.map((tier) => [tier.unit, tier.price_per_unit, tier.max_units ?? null, Object.entries(tier.metadata ?? {}).sort()]),
    ]),
  );
}
