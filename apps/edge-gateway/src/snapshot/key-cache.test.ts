import { describe, expect, it } from '@jest/globals';
import { KeyCache } from './key-cache.js';

const ID = '0193b3a0-0000-7000-8000-000000000001';
const OPTIONS = { entriesMax: 3, absentMax: 2, absentTtlMs: 60_000, lookupsInFlightMax: 2 };

function document(prefix: string, revoked = false): string {
  return JSON.stringify({ v: 1, id: ID, tenantId: ID, prefix, digests: [{ digest: 'AA==' }], revoked, scopes: [] });
}

describe('key cache', () => {
  it('reads a key once, however many ask for it at the same time', async () => {
    let reads = 0;
    const cache = new KeyCache(async (prefix) => (reads++, document(prefix)), OPTIONS);
    const all = await Promise.all(Array.from({ length: 64 }, () => cache.load('abc')));
    expect(reads).toBe(1);
    expect(new Set(all).size).toBe(1);
    await cache.load('abc');
    expect(reads).toBe(1);
  });

  it('never serves a document that was read before a change', async () => {
    let release: (value: string) => void = () => undefined;
    const answers = [new Promise<string>((resolve) => (release = resolve)), Promise.resolve(document('abc', true))];
    const cache = new KeyCache(() => answers.shift()!, OPTIONS);
    const lookup = cache.load('abc');
    cache.invalidate('abc');
    release(document('abc', false));
    expect((await lookup)?.doc.revoked).toBe(true);
    expect(cache.peek('abc')?.doc.revoked).toBe(true);
  });

  it('remembers that a key does not exist, until it appears', async () => {
    let exists = false;
    const cache = new KeyCache(async (prefix) => (exists ? document(prefix) : undefined), OPTIONS);
    expect(await cache.load('new')).toBeUndefined();
    expect(cache.peek('new')).toBeNull();
    exists = true;
    cache.invalidate('new');
    expect((await cache.load('new'))?.doc.prefix).toBe('new');
  });

  it('keeps no more keys than its bound', async () => {
    const cache = new KeyCache(async (prefix) => document(prefix), OPTIONS);
    for (const prefix of ['a', 'b', 'c', 'd']) await cache.load(prefix);
    expect(cache.peek('a')).toBeUndefined();
    expect(cache.peek('d')).toBeDefined();
  });

  it('loses no key to prefixes that somebody makes up, and remembers few of those', async () => {
    const cache = new KeyCache(async (prefix) => (prefix === 'real' ? document(prefix) : undefined), OPTIONS);
    await cache.load('real');
    for (let i = 0; i < 100; i++) await cache.load(`made-up-${i}`);
    expect(cache.peek('real')).toMatchObject({ doc: { prefix: 'real' } });
    expect([97, 98, 99].map((i) => cache.peek(`made-up-${i}`))).toEqual([undefined, null, null]);
  });

  it('rejects when the bus cannot be asked, and asks again the next time', async () => {
    let away = true;
    const cache = new KeyCache(async (prefix) => {
      if (away) throw new Error('no bus');
      return document(prefix);
    }, OPTIONS);
    await expect(cache.load('abc')).rejects.toThrow('no bus');
    away = false;
    expect((await cache.load('abc'))?.doc.prefix).toBe('abc');
  });

  it('refuses more lookups at once than its bound', async () => {
    const cache = new KeyCache(() => new Promise(() => undefined), OPTIONS);
    void cache.load('a');
    void cache.load('b');
    await expect(cache.load('c')).rejects.toThrow('too many');
  });
});
