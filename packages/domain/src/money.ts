/**
 * Money is an integer count of nano-USD (1e-9 USD) as bigint. Floats never carry an amount: prices enter as decimal
 * text, sums stay integers, and a fraction is rounded once, half up.
 */
export type NanoUsd = bigint;

export const NANO_PER_USD = 1_000_000_000n;
export const NANO_PER_CENT = 10_000_000n;
export const NANO_PER_MICRO = 1_000n;

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;

/** An exact decimal: `digits` / 10^`scale`. Prices need more digits than a nano-USD has. */
export interface Decimal {
  digits: bigint;
  scale: number;
}

/** Parses a decimal number or its text exactly. Throws a RangeError for anything that is not a finite decimal. */
export function parseDecimal(value: string | number): Decimal {
  const match = DECIMAL.exec(String(value).trim());
  if (!match) throw new RangeError(`not a decimal number: ${String(value).slice(0, 40)}`);
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  let digits = BigInt(whole! + fraction);
  if (sign === '-') digits = -digits;
  let scale = fraction.length - Number(exponent);
  if (scale < 0) {
    digits *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return { digits, scale };
}

/** numerator / denominator, rounded half up (towards positive infinity on a tie). The denominator is positive. */
export function divideHalfUp(numerator: bigint, denominator: bigint): bigint {
  const doubled = 2n * numerator + denominator;
  const quotient = doubled / (2n * denominator);
  return doubled < 0n && doubled % (2n * denominator) !== 0n ? quotient - 1n : quotient;
}

/** USD as decimal text or number to nano-USD, rounded half up. */
export function nanoUsdFromUsd(usd: string | number): NanoUsd {
  const { digits, scale } = parseDecimal(usd);
  return divideHalfUp(digits * NANO_PER_USD, 10n ** BigInt(scale));
}

/** Exact decimal text in USD, without trailing zeros: 1500000n is "0.0015". */
export function usdFromNanoUsd(nano: NanoUsd): string {
  const sign = nano < 0n ? '-' : '';
  const abs = nano < 0n ? -nano : nano;
  const fraction = (abs % NANO_PER_USD).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${abs / NANO_PER_USD}${fraction ? `.${fraction}` : ''}`;
}

/** Cents, rounded half up; derived, for display and for the `X-Budget-*-Cents` headers. */
export function centsFromNanoUsd(nano: NanoUsd): bigint {
  return divideHalfUp(nano, NANO_PER_CENT);
}

/** Micro-USD, rounded half up; derived, for display. */
export function microsFromNanoUsd(nano: NanoUsd): bigint {
  return divideHalfUp(nano, NANO_PER_MICRO);
}
