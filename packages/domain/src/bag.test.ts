import { describe, expect, it } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Bag } from './bag.js';

const itemsOf = (bag: Bag<{ place: number; name: string }>): string[] => {
  const names: string[] = [];
  bag.forEach(({ name }) => names.push(name));
  return names.sort();
};

describe('a bag', () => {
  it('holds what was added and not removed, whatever the order', () => {
    const bag = new Bag<{ place: number; name: string }>();
    const items = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ place: -1, name }));
    for (const item of items) bag.add(item);
    for (const item of [items[0]!, items[4]!, items[2]!]) expect(bag.delete(item)).toBe(true);
    expect(itemsOf(bag)).toEqual(['b', 'd']);
    expect(bag.size).toBe(2);
    expect(items.map((item) => bag.has(item))).toEqual([false, true, false, true, false]);
  });

  it('removes an item once, and none that it does not hold', () => {
    const bag = new Bag<{ place: number; name: string }>();
    const [there, other] = ['a', 'b'].map((name) => ({ place: -1, name })) as [{ place: number; name: string }, { place: number; name: string }];
    bag.add(there);
    expect(bag.delete(other)).toBe(false);
    expect(bag.delete(there)).toBe(true);
    expect(bag.delete(there)).toBe(false);
    expect(bag.size).toBe(0);
  });

  it('lets items leave while it is walked through', () => {
    const bag = new Bag<{ place: number; name: string }>();
    for (const name of ['a', 'b', 'c']) bag.add({ place: -1, name });
    bag.forEach((item) => bag.delete(item));
    expect(bag.size).toBe(0);
  });

  it('lets the collections of the young generation free what has left, however long the bag has lived', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
    const bag = new Bag<{ place: number; load: number[] }>();
    const running: { place: number; load: number[] }[] = [];
    const pass = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const item = { place: -1, load: new Array<number>(1_000).fill(i) };
        bag.add(item);
        if (running.push(item) > 32) bag.delete(running.shift()!);
      }
    };
    pass(100);
    // Twice: what survives is in the old generation.
    collect({ type: 'minor' });
    collect({ type: 'minor' });
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < 20; round++) {
      pass(200);
      collect({ type: 'minor' });
    }
    // Four thousand items of 8 KB passed through.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 1024 * 1024);
  });
});
