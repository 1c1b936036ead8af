import { LRUCache } from 'lru-cache';

export interface UnknownKeyLimitOptions {
  /** Lookups without result that an address has in hand. */
  burst: number;
  /** What it gets back. */
  perSecond: number;
  /** Addresses that are remembered; the one that was quiet longest is forgotten. */
  addressesMax: number;
}

interface Account {
  left: number;
  atMs: number;
}

/**
 * Keys are looked up on the bus when they are first used, so whoever makes up prefixes would make the gateway work for nothing.
 * Only lookups that find no key count, and they count against the address that asked: keys that are cached are not asked for
 * here, and other addresses look up theirs as before.
 */
export class UnknownKeyLimit {
  private readonly accounts: LRUCache<string, Account>;

  constructor(
    private readonly options: UnknownKeyLimitOptions,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.accounts = new LRUCache({ max: options.addressesMax });
  }

  /** 0: the address may have a key looked up; else how long until it may. */
  waitMs(address: string): number {
    const account = this.accounts.get(networkOf(address));
    if (!account) return 0;
    this.refill(account);
    return account.left >= 1 ? 0 : Math.ceil(((1 - account.left) / this.options.perSecond) * 1000);
  }

  /** The key that was looked up for the address does not exist. */
  onUnknown(address: string): void {
    const network = networkOf(address);
    const account = this.accounts.get(network) ?? { left: this.options.burst, atMs: this.nowMs() };
    this.refill(account);
    // Lookups that were under way when the last one was used up leave no debt.
    account.left = Math.max(0, account.left - 1);
    this.accounts.set(network, account);
  }

  private refill(account: Account): void {
    const nowMs = this.nowMs();
    account.left = Math.min(this.options.burst, account.left + ((nowMs - account.atMs) / 1000) * this.options.perSecond);
    account.atMs = nowMs;
  }
}

/** One subscriber has at least a whole /64 of IPv6. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  return address.split('::', 1)[0]!.split(':').slice(0, 4).join(':');
}
