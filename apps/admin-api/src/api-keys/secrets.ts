import { randomBytes } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Bytes from here on would favour the first letters. */
const FAIR_BELOW = 256 - (256 % ALPHABET.length);

export const PREFIX_CHARS = 10;
/** Some 285 bits. */
export const SECRET_CHARS = 48;

export function randomText(chars: number): string {
  let text = '';
  while (text.length < chars) {
    for (const byte of randomBytes(chars * 2)) {
      if (byte < FAIR_BELOW && text.length < chars) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}
