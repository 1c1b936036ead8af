import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { Edits } from './edits.js';
import { countedBytes, hasMorePartsThan, JSON_DEPTH_MAX, KeyTable, scanTopLevel, skipCounting } from './json-scan.js';

const TABLE = new KeyTable(['model', 'usage', 'id']);

function values(text: string): (string | undefined)[] | undefined {
  const buf = Buffer.from(text);
  return scanTopLevel(buf, TABLE)?.spans.map((span) => span && buf.toString('utf8', span.start, span.end));
}

describe('the top-level scanner', () => {
  it('finds the same values as a parser does, whatever else the object holds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom('model', 'usage', 'id'), fc.string()), fc.jsonValue()),
        fc.constantFrom(undefined, 1, '\t'),
        (object, indent) => {
          const found = values(JSON.stringify(object, null, indent));
          for (const [i, name] of TABLE.names.entries()) {
            const text = found?.[i];
            const wanted = Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined;
            expect(text === undefined ? undefined : JSON.parse(text)).toEqual(JSON.parse(JSON.stringify({ v: wanted })).v);
          }
        },
      ),
    );
  });

  it('does not take a nested or quoted name for a top-level one', () => {
    expect(values('{"a":{"model":1},"b":"\\"model\\":2","c":[{"id":3}]}')).toEqual([undefined, undefined, undefined]);
  });

  it('understands a name written with escapes, and strings with escaped quotes of any length', () => {
    expect(values(`{"x":"${'y\\\\\\"'.repeat(50)}","mod\\u0065l":"a\\\\","id":"\\""}`)).toEqual(['"a\\\\"', undefined, '"\\""']);
  });

  it('reports a name that stands twice', () => {
    expect(scanTopLevel(Buffer.from('{"model":1,"model":2}'), TABLE)?.duplicate).toBe(true);
    expect(scanTopLevel(Buffer.from('{"model":1,"other":2,"other":3}'), TABLE)?.duplicate).toBe(false);
  });

  it('finds every cut of an object to be malformed', () => {
    const text = '{"id":"x","choices":[{"a":"b\\"c","d":[1,{"e":null}]}],"usage":{"n":1.5e3}}';
    for (let end = 0; end < text.length; end++) expect(values(text.slice(0, end))).toBeUndefined();
    expect(values(text)).toBeDefined();
  });

  it.each(['', 'null', '[]', '{"a":1}x', '{"a":[}]}', '{"a" 1}', '{"a":}', '{,}', '{"a":1,}', '{a:1}', '{"a":1 "b":2}', '<html>'])('refuses %p', (text) => {
    expect(values(text)).toBeUndefined();
  });

  it('refuses nesting beyond its bound', () => {
    const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(values(nested(JSON_DEPTH_MAX))).toBeDefined();
    expect(values(nested(JSON_DEPTH_MAX + 1))).toBeUndefined();
  });
});

describe('edits', () => {
  it('leave valid JSON without the removed members, whichever of them go', () => {
    const names = ['a', 'b', 'c', 'd'];
    fc.assert(
      fc.property(fc.subarray(names), fc.subarray(names), fc.constantFrom(undefined, 2), (present, removed, indent) => {
        const buf = Buffer.from(JSON.stringify(Object.fromEntries(present.map((name) => [name, 'v,'])), null, indent));
        const table = new KeyTable(names);
        const edits = new Edits();
        for (const [i, span] of scanTopLevel(buf, table)!.spans.entries()) {
          if (span !== undefined && removed.includes(names[i]!)) edits.removeMember(buf, span.keyStart, span.end);
        }
        const left = Object.keys(JSON.parse(edits.apply(buf).toString()) as object);
        expect(left).toEqual(present.filter((name) => !removed.includes(name)));
      }),
    );
  });

  it('are applied by position, also when they were noted in another order', () => {
    const edits = new Edits();
    edits.replace(4, 5, Buffer.from('E'));
    edits.replace(0, 0, Buffer.from('>'));
    edits.replace(1, 3, undefined);
    expect(edits.apply(Buffer.from('abcdef')).toString()).toBe('>adEf');
    edits.clear();
    edits.replace(1, 2, Buffer.from('B'));
    edits.replace(1, 1, Buffer.from('1'));
    edits.replace(1, 1, Buffer.from('2'));
    expect(edits.apply(Buffer.from('abc')).toString()).toBe('a12Bc');
  });
});

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

describe('the bytes of a string', () => {
  it.each([
    ['"plain"', 5],
    ['"\\"\\n\\\\"', 3],
    ['"\\u003cb\\u003e"', 3],
    ['"käse"', 5],
    ['"你好"', 6],
    // As servers write it that send nothing but ASCII.
    ['"\\u4f60\\u597d"', 6],
  ])('are those of its text, however it is written: %s', (json, bytes) => {
    const buf = Buffer.from(json);
    expect(skipCounting(buf, 0, buf.length)).toBe(buf.length);
    expect(countedBytes).toBe(bytes);
  });
});
