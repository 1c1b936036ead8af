import { createReadStream } from 'node:fs';
import { crc32 } from 'node:zlib';

/** A line is eight hexadecimal digits of CRC-32, a space, the event and a line feed. */
export function encodeLine(event: string): Buffer {
  if (event.includes('\n')) throw new RangeError('a spooled event is one line');
  return Buffer.from(`${checksum(event)} ${event}\n`);
}

/** The events of a file in order; undefined for a line that is torn or damaged. Memory is bounded by the longest line. */
export async function* readLines(path: string, lineBytesMax: number): AsyncGenerator<string | undefined> {
  let rest: Buffer = Buffer.alloc(0);
  let skipping = false;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = rest.indexOf(10, from); end !== -1; end = rest.indexOf(10, from)) {
      yield skipping ? undefined : decodeLine(rest.subarray(from, end));
      skipping = false;
      from = end + 1;
    }
    rest = rest.subarray(from);
    // Damage took the line feed away: what follows up to the next one is not a line of ours.
    if (rest.length > lineBytesMax) {
      rest = Buffer.alloc(0);
      skipping = true;
    }
  }
  if (rest.length > 0 || skipping) yield undefined;
}

function decodeLine(line: Buffer): string | undefined {
  const text = line.toString('utf8');
  const event = text.slice(9);
  return text[8] === ' ' && text.slice(0, 8) === checksum(event) ? event : undefined;
}

function checksum(event: string): string {
  return crc32(event).toString(16).padStart(8, '0');
}
