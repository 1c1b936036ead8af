import { describe, expect, it } from '@jest/globals';
import { formatTable } from './table.js';

describe('a table', () => {
  it('shows amounts as people write them, however small', () => {
    const shown = (value: number): string => formatTable(['USD'], [[value]]).split('\n')[1]!;
    expect([1e-7, 0.1044171, 12.5, 3, 0, 2.50000001].map(shown)).toEqual(['0.0000001', '0.1044171', '12.5', '3', '0', '2.50000001']);
  });

  it('has columns as wide as their widest cell, dashes for what is absent, and no control characters', () => {
    expect(formatTable(['A', 'BB'], [['x\u001b[31m', null]])).toBe('A       BB\nx?[31m  -\n');
  });
});
