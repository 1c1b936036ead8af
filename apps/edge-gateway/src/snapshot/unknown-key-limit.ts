import { Allowances } from '../allowances.js';

export interface UnknownKeyLimitOptions {
  /** Lookups without result that an address has in hand. */
  burst: number;
  /** What it gets back. */
  perSecond: number;
  /** Addresses that are remembered; the one that was quiet longest is forgotten. */
  addressesMax: number;
}

/**
 * Keys are looked up on the bus when they are first used, so whoever makes up prefixes would make the gateway work for nothing.
 * Only lookups that find no key count, and they count against the address that asked: keys that are cached are not asked for
 * here, and other addresses look up theirs as before.
 */
export class UnknownKeyLimit {
  private readonly lookups: Allowances;

  constructor({ burst, perSecond, addressesMax }: UnknownKeyLimitOptions, nowMs?: () => number) {
    this.lookups = new Allowances({ burst, perSecond, namesMax: addressesMax }, nowMs);
  }

  /** 0: the address may have a key looked up; else how long until it may. */
  waitMs(address: string): number {
    return this.lookups.waitMs(networkOf(address), 1);
  }

  /** The key that was looked up for the address does not exist. */
  onUnknown(address: string): void {
    this.lookups.use(networkOf(address), 1);
  }
}

/** One subscriber has at least a whole /64 of IPv6. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  return address.split('::', 1)[0]!.split(':').slice(0, 4).join(':');
}
