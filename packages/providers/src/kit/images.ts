import { unixNow } from './chat-writer.js';

export interface ImageOut {
  b64_json?: string;
  url?: string;
  revised_prompt?: string;
}

/** OpenAI's images answer. */
export function imagesBody(images: readonly ImageOut[], extras: Record<string, unknown> = {}, createdUnix = unixNow()): Buffer {
  return Buffer.from(JSON.stringify({ created: createdUnix, data: images, ...extras }));
}

/** Enough of a file's head to find its size, also behind a large JPEG profile. */
const HEAD_CHARS = 256 * 1024;

/** Width and height, such as "1024x1024", of a PNG, JPEG or WebP file given as base64; undefined when it cannot be told. */
export function imageSizeOf(base64: string): string | undefined {
  const bytes = Buffer.from(base64.slice(0, HEAD_CHARS), 'base64');
  const size = pngSize(bytes) ?? jpegSize(bytes) ?? webpSize(bytes);
  return size === undefined ? undefined : `${size[0]}x${size[1]}`;
}

function pngSize(bytes: Buffer): [number, number] | undefined {
  if (bytes.length < 24 || bytes.readUInt32BE(0) !== 0x89504e47) return undefined;
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

function jpegSize(bytes: Buffer): [number, number] | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  let at = 2;
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    // Start-of-frame markers hold the size; C4, C8 and CC in their range mean something else.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
    }
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

function webpSize(bytes: Buffer): [number, number] | undefined {
  if (bytes.length < 30 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP') return undefined;
  const kind = bytes.toString('latin1', 12, 16);
  if (kind === 'VP8X') return [bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1];
  if (kind === 'VP8 ') return [bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff];
  if (kind !== 'VP8L') return undefined;
  const bits = bytes.readUInt32LE(21);
  return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
}
