import { describe, expect, it } from '@jest/globals';
import { hasMorePartsThan } from './check.js';

const more = (text: string, partsMax: number) => hasMorePartsThan(Buffer.from(text), partsMax);

describe('the parts of a JSON text', () => {
  it('are its objects, its arrays and the names of members', () => {
    const text = `{"a":[{},[],{"b":{"c":1}}]}${' '.repeat(20)}`;
    expect(more(text, 9)).toBe(false);
    expect(more(text, 8)).toBe(true);
  });

  it('are not the signs inside of strings, however quotes and backslashes stand in them', () => {
    expect(more(JSON.stringify({ a: '{[:'.repeat(1000), b: '\\"{[:\\'.repeat(1000) }), 3)).toBe(false);
  });

  it('are not counted in a text that is cut off inside a string: the parser refuses it', () => {
    expect(more(`{"a":"${'{'.repeat(100)}`, 2)).toBe(false);
  });
});
