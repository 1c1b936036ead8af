import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { GroupCommitter } from './group-committer.js';

/** Items are numbers; their last digit is the lane. Each group is held until `end` is called with its index. */
function committer(options: { itemsMax?: number; itemsMin?: number; lanes?: number } = {}) {
  const groups: { items: number[]; end: (error?: Error) => void }[] = [];
  const clock = { ms: 0 };
  const subject = new GroupCommitter<number>(
    (items) => new Promise((resolve, reject) => groups.push({ items, end: (error) => (error ? reject(error) : resolve()) })),
    { itemsMax: 100, itemsMin: 3, lanes: 2, waitMsMax: 50, nowMs: () => clock.ms, laneOf: (item) => item % 10, ...options },
  );
  const end = async (group: number, error?: Error): Promise<void> => {
    groups[group]!.end(error);
    await turn();
  };
  return { submit: (...items: number[]) => subject.submit(items), items: () => groups.map((group) => group.items), end, clock };
}

describe('a group committer', () => {
  it('puts what arrives at once into one group, of whatever lanes', async () => {
    const c = committer();
    const all = [c.submit(10, 11), c.submit(20)];
    await turn();
    expect(c.items()).toEqual([[10, 20, 11]]);
    await c.end(0);
    await Promise.all(all);
  });

  it('never has items of one lane in two groups under way', async () => {
    const c = committer();
    const first = c.submit(10, 20, 30);
    await turn();
    const second = c.submit(40, 50, 60, 11, 21, 31);
    await turn();
    expect(c.items()).toEqual([
      [10, 20, 30],
      [11, 21, 31],
    ]);
    await c.end(1);
    expect(c.items()).toHaveLength(2);
    await c.end(0);
    expect(c.items()[2]).toEqual([40, 50, 60]);
    await c.end(2);
    await Promise.all([first, second]);
  });

  it('lets a few items wait for more while others are committed, and for the end of those at most', async () => {
    const c = committer();
    const first = c.submit(10, 20, 30);
    await turn();
    const few = c.submit(11);
    await turn();
    expect(c.items()).toHaveLength(1);
    await c.end(0);
    expect(c.items()[1]).toEqual([11]);
    await c.end(1);
    await Promise.all([first, few]);
  });

  it("lets a few items not wait for the end of another lane's load", async () => {
    const c = committer({ lanes: 3 });
    const busy = [c.submit(10, 20, 30), c.submit(11, 21, 31)];
    await turn();
    const few = c.submit(12);
    busy.push(c.submit(40, 50, 60));
    await turn();
    c.clock.ms = 49;
    await c.end(0);
    expect(c.items().slice(2)).toEqual([[40, 50, 60]]);
    c.clock.ms = 50;
    await c.end(1);
    expect(c.items()[3]).toEqual([12]);
    await c.end(2);
    await c.end(3);
    await Promise.all([...busy, few]);
  });

  it('bounds a group, but for a single submission that is larger', async () => {
    const c = committer({ itemsMax: 3 });
    const all = [c.submit(10, 20, 30, 40), c.submit(50, 60), c.submit(70)];
    await turn();
    await c.end(0);
    expect(c.items()).toEqual([
      [10, 20, 30, 40],
      [50, 60, 70],
    ]);
    await c.end(1);
    await Promise.all(all);
  });

  it('passes no lane over for ever whose items find no room in the shared group', async () => {
    const c = committer({ lanes: 3, itemsMax: 2 });
    const all = [c.submit(10, 11), c.submit(12, 22)];
    await turn();
    c.clock.ms = 50;
    all.push(c.submit(20));
    await turn();
    expect(c.items()).toEqual([
      [10, 11],
      [12, 22],
    ]);
    await c.end(0);
    await c.end(1);
    await c.end(2);
    await Promise.all(all);
  });

  it('tells a failed group to its own submissions, and goes on', async () => {
    const c = committer();
    const both = c.submit(10, 20, 30, 11, 21, 31);
    const other = c.submit(41);
    await turn();
    await c.end(0, new Error('no'));
    await expect(both).rejects.toThrow('no');
    await c.end(1);
    await other;
    const next = c.submit(50);
    await turn();
    await c.end(2);
    await next;
  });
});
