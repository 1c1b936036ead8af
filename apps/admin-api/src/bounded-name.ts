import { createHash } from 'node:crypto';

/** A name that fits its column and stays one of a kind: itself, or where it is too long, its start and the hash of all of it. */
export function boundedName(name: string, charsMax: number): string {
  return name.length <= charsMax ? name : `${name.slice(0, charsMax - 65)}#${createHash('sha256').update(name).digest('hex')}`;
}
