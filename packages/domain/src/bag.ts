/** Where an item lies in its bag; the bag's affair. */
export interface BagItem {
  place: number;
}

/**
 * Items without an order, each at most once; adding and removing take constant time. For what comes and goes thousands of times a
 * second. A `Set` would keep it all from being freed: V8 makes a Set a new table every few changes, and each old table knows the
 * next one. As soon as one of them has become old enough to be left to the rare full collection, it holds all its
 * successors, with all that was in them.
 */
export class Bag<T extends BagItem> {
  private readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  add(item: T): void {
    item.place = this.items.push(item) - 1;
  }

  has(item: T): boolean {
    return this.items[item.place] === item;
  }

  /** False: it was not there. */
  delete(item: T): boolean {
    if (!this.has(item)) return false;
    const last = this.items.pop()!;
    if (last !== item) {
      this.items[item.place] = last;
      last.place = item.place;
    }
    item.place = -1;
    return true;
  }

  /** Items may leave while this runs. */
  forEach(visit: (item: T) => void): void {
    for (const item of [...this.items]) visit(item);
  }
}
