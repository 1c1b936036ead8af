/**
 * Puts what arrives at the same time into one commit. Batches come in small messages; Postgres likes few large
 * transactions. While a group is being committed the next one gathers, so the size of the groups follows the load without
 * a waiting time.
 */
export interface GroupCommitterOptions {
  /** A group takes further members until it holds this many items. */
  itemsMax: number;
  /**
   * While another group is under way, a group of fewer items waits for more, or for the other one's end: so small messages cost few
   * transactions.
   */
  itemsMin: number;
  /** Groups under way at once. */
  groupsMax: number;
}

interface Member<T> {
  items: readonly T[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class GroupCommitter<T> {
  private readonly waiting: Member<T>[] = [];
  private waitingItems = 0;
  private running = 0;

  constructor(
    private readonly commit: (items: T[]) => Promise<void>,
    private readonly options: GroupCommitterOptions,
  ) {}

  /** Resolves when the items' group is committed. Bounded by its callers: each waits for its own. */
  submit(items: readonly T[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ items, resolve, reject });
      this.waitingItems += items.length;
      // Everything that arrives in this turn of the event loop belongs together.
      setImmediate(() => this.start());
    });
  }

  private start(): void {
    const { groupsMax, itemsMin } = this.options;
    while (this.waiting.length > 0 && this.running < groupsMax && (this.running === 0 || this.waitingItems >= itemsMin)) {
      const members: Member<T>[] = [];
      let size = 0;
      while (this.waiting.length > 0 && (size === 0 || size + this.waiting[0]!.items.length <= this.options.itemsMax)) {
        const member = this.waiting.shift()!;
        members.push(member);
        size += member.items.length;
      }
      this.waitingItems -= size;
      void this.run(members);
    }
  }

  private async run(members: readonly Member<T>[]): Promise<void> {
    this.running += 1;
    try {
      await this.commit(members.flatMap((member) => member.items));
      for (const member of members) member.resolve();
    } catch (error) {
      for (const member of members) member.reject(error);
    } finally {
      this.running -= 1;
      this.start();
    }
  }
}
