import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { ProviderError } from '../spec/provider-error.js';
import { SseReader } from './sse-reader.js';

function read(chunks: Buffer[], eventBytesMax?: number): [string, string][] {
  const events: [string, string][] = [];
  const reader = new SseReader((data, start, end, event) => events.push([event, data.toString('utf8', start, end)]), eventBytesMax);
  for (const chunk of chunks) reader.push(chunk);
  return events;
}

function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

const TEXT = [
  ': ping - 2026-01-01',
  '',
  'data: {"a":"é😀"}',
  '',
  'data:no space',
  '',
  'event: error',
  'data: first',
  'data:  second',
  'data',
  'id: 7',
  'retry: 10',
  '',
  'event: lost',
  '',
  'dataset: not data',
  'data: [DONE]',
  '',
  '',
].join('\n');

const EVENTS = [
  ['', '{"a":"é😀"}'],
  ['', 'no space'],
  ['error', 'first\n second\n'],
  ['', '[DONE]'],
];

describe('the SSE reader', () => {
  it.each(['\n', '\r\n', '\r'])('reads the same events with %j line ends, cut at any two places', (lineEnd) => {
    const bytes = Buffer.from(TEXT.replaceAll('\n', lineEnd));
    for (let cut = 0; cut <= bytes.length; cut++) expect(read(cutAt(bytes, [cut]))).toEqual(EVENTS);
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => expect(read(cutAt(bytes, cuts))).toEqual(EVENTS)));
    expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(EVENTS);
  });

  it('reads streams that mix their line ends and begin with a byte order mark', () => {
    expect(read([Buffer.from('\ufeffdata: 1\r\n\ndata: 2\r\rdata: 3\n\r\n')])).toEqual([
      ['', '1'],
      ['', '2'],
      ['', '3'],
    ]);
  });

  it('drops an event that the stream ends in the middle of', () => {
    expect(read([Buffer.from('data: 1\n\ndata: 2\n')])).toEqual([['', '1']]);
  });

  it('holds no more than the bound for one event, with and without line ends', () => {
    const line = Buffer.from(`data: ${'x'.repeat(90)}\n`);
    expect(() => read([Buffer.from('data: '), Buffer.alloc(200, 'x')], 100)).toThrow(ProviderError);
    expect(() => read([line, line], 100)).toThrow(ProviderError);
    expect(() =>
      read(
        Array.from({ length: 100 }, () => Buffer.from(': c\n')),
        100,
      ),
    ).not.toThrow();
    expect(() => read([line, Buffer.from('\n'), line, Buffer.from('\n')], 100)).not.toThrow();
  });

  it('joins an event of very many lines in one go, so that a hostile provider cannot hold up everybody else', () => {
    // Copied anew for each line, this is some 90 GB; as many events of a line each are the measure.
    const lines = Buffer.from(`${'data: x\n'.repeat(300_000)}\n`);
    const before = process.cpuUsage();
    const events = read(cutAt(lines, [100_001, 1_000_003]));
    const { user } = process.cpuUsage(before);
    expect(events).toEqual([['', `x${'\nx'.repeat(299_999)}`]]);
    const beforeControl = process.cpuUsage();
    expect(read([Buffer.from('data: x\n\n'.repeat(300_000))])).toHaveLength(300_000);
    expect(user).toBeLessThan(20 * process.cpuUsage(beforeControl).user);
  });
});
