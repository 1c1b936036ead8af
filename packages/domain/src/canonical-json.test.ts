import { describe, expect, it } from '@jest/globals';
import { canonicalJson } from './canonical-json.js';

describe('canonical JSON', () => {
  it('is one text for equal values, whatever the order of their fields', () => {
    expect(canonicalJson({ b: 2, a: 1 })).toBe('{"a":1,"b":2}');
    expect(canonicalJson({ b: 1n, a: [new Date(0), undefined], u: undefined })).toBe(canonicalJson({ a: [new Date(0), undefined], b: 1n }));
    expect(canonicalJson([{ a: { d: 1, c: null } }])).toBe('[{"a":{"c":null,"d":1}}]');
    expect(canonicalJson(JSON.parse('{"__proto__":{"x":1},"2":0,"1":0}'))).toBe('{"1":0,"2":0,"__proto__":{"x":1}}');
  });

  it('tells different values apart', () => {
    expect(new Set([{ a: 1 }, { a: '1' }, { a: [1] }, { a: null }, {}, [], null].map(canonicalJson)).size).toBe(7);
  });

  it('takes what a request may nest, and refuses to follow it for ever', () => {
    const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
    expect(canonicalJson(nested(128))).toHaveLength(256);
    expect(() => canonicalJson(nested(10_000))).toThrow(RangeError);
  });
});
