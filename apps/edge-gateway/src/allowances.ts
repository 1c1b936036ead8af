import { LRUCache } from 'lru-cache';

export interface AllowancesOptions {
  /** What each name has in hand. */
  burst: number;
  /** What it gets back. */
  perSecond: number;
  /** Names that are remembered; the one that was quiet longest is forgotten. */
  namesMax: number;
}

interface Account {
  left: number;
  atMs: number;
}

/** What somebody may use of something at once, and in each second after that: of this process, and of each name for itself. */
export class Allowances {
  private readonly accounts: LRUCache<string, Account>;

  constructor(
    private readonly options: AllowancesOptions,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.accounts = new LRUCache({ max: options.namesMax });
  }

  /** 0: so much is left; else how long until it is. */
  waitMs(name: string, amount: number): number {
    const account = this.accounts.get(name);
    if (!account) return 0;
    this.refill(account);
    return account.left >= amount ? 0 : Math.ceil(((amount - account.left) / this.options.perSecond) * 1000);
  }

  /** Never below nothing: what was under way when the last was used up leaves no debt. */
  use(name: string, amount: number): void {
    const account = this.accounts.get(name) ?? { left: this.options.burst, atMs: this.nowMs() };
    this.refill(account);
    account.left = Math.max(0, account.left - amount);
    this.accounts.set(name, account);
  }

  private refill(account: Account): void {
    const nowMs = this.nowMs();
    const { burst, perSecond } = this.options;
    account.left = Math.min(burst, account.left + ((nowMs - account.atMs) / 1000) * perSecond);
    account.atMs = nowMs;
  }
}
