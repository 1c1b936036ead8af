/**
 * Finds members of JSON objects inside a buffer without decoding or copying, so that a body can pass byte for byte but
 * for the values that must change.
 *
 * It is a scanner, not a validator: nesting, strings and separators of the walked objects are checked (a cut or
 * unbalanced text is found), the spelling of numbers and literals is not. Positions are byte offsets; -1 means malformed.
 */

/** Deeper nesting than any body or chunk has; beyond it the text is refused. */
export const JSON_DEPTH_MAX = 128;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const DIGIT_0 = 0x30;
const LETTER_U = 0x75;

/** Short strings, and those full of escaped quotes, are cheaper to walk than to hand to the native search. */
const WALKED = 64;

/** Position after the closing quote of the string that opens at `pos`. */
export function skipString(buf: Buffer, pos: number, end: number): number {
  let i = pos + 1;
  for (;;) {
    const near = i + WALKED < end ? i + WALKED : end;
    while (i < near) {
      const byte = buf[i]!;
      if (byte === QUOTE) return i + 1;
      i += byte === BACKSLASH ? 2 : 1;
    }
    if (i >= end) return -1;
    // A long string: the native search is faster, unless escaped quotes stand close together.
    const quote = buf.indexOf(QUOTE, i);
    if (quote < 0 || quote >= end) return -1;
    let before = quote - 1;
    while (before >= i && buf[before] === BACKSLASH) before--;
    if (((quote - 1 - before) & 1) === 0) return quote + 1;
    i = quote + 1;
  }
}

/** Bytes of UTF-8 of the string passed last by `skipCounting`. */
export let countedBytes = 0;

/** Like `skipString`, and counts the string's bytes into `countedBytes`: as if it were written without escapes, nearly. */
export function skipCounting(buf: Buffer, pos: number, end: number): number {
  let bytes = 0;
  for (let i = pos + 1; i < end; i++) {
    const byte = buf[i]!;
    if (byte === QUOTE) {
      countedBytes = bytes;
      return i + 1;
    }
    bytes++;
    if (byte !== BACKSLASH) continue;
    if (buf[i + 1] !== LETTER_U) {
      i++;
      continue;
    }
    // Servers that write all but ASCII as escapes have characters of three bytes there, mostly.
    if (buf[i + 2] !== DIGIT_0 || buf[i + 3] !== DIGIT_0) bytes += 2;
    i += 5;
  }
  return -1;
}

export function skipSpace(buf: Buffer, pos: number, end: number): number {
  let i = pos;
  while (i < end) {
    const byte = buf[i]!;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return i;
    i++;
  }
  return i;
}

/** `skipSpace` for places where there is hardly ever any. */
function spaced(buf: Buffer, pos: number, end: number): number {
  return buf[pos]! > 0x20 ? pos : skipSpace(buf, pos, end);
}

/** One stack for all calls: a walk never yields, so it cannot be entered twice. */
const closers = new Uint8Array(JSON_DEPTH_MAX);

function skipContainer(buf: Buffer, pos: number, end: number): number {
  let depth = 0;
  let i = pos;
  while (i < end) {
    const byte = buf[i]!;
    if (byte === QUOTE) {
      i = skipString(buf, i, end);
      if (i < 0) return -1;
      continue;
    }
    i++;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (depth === JSON_DEPTH_MAX) return -1;
      closers[depth++] = byte + 2; // in ASCII the closing sign is the opening one plus two, for both pairs
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (closers[--depth] !== byte) return -1;
      if (depth === 0) return i;
    }
  }
  return -1;
}

function skipScalar(buf: Buffer, pos: number, end: number): number {
  let i = pos;
  while (i < end) {
    const byte = buf[i]!;
    if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte <= 0x20) break;
    if (byte === COLON || byte === QUOTE || byte === OPEN_BRACE || byte === OPEN_BRACKET) return -1;
    i++;
  }
  return i === pos ? -1 : i;
}

/** Position after the value that starts at `pos`. */
export function skipValue(buf: Buffer, pos: number, end: number): number {
  const byte = buf[pos];
  if (byte === QUOTE) return skipString(buf, pos, end);
  if (byte === OPEN_BRACE || byte === OPEN_BRACKET) return skipContainer(buf, pos, end);
  return skipScalar(buf, pos, end);
}

/** The member names that a walk looks for; each is known by its place in the list. */
export class KeyTable {
  private readonly byLength: { id: number; bytes: Buffer }[][] = [];

  constructor(readonly names: readonly string[]) {
    names.forEach((name, id) => {
      const bytes = Buffer.from(name, 'utf8');
      (this.byLength[bytes.length] ??= []).push({ id, bytes });
    });
  }

  /** Place of the name between its quotes at `start` and `end`, or -1. A name written with escapes is understood. */
  match(buf: Buffer, start: number, end: number): number {
    const length = end - start;
    if (length >= this.byLength.length) return -1;
    const candidates = this.byLength[length];
    if (candidates === undefined) return -1;
    for (let c = 0; c < candidates.length; c++) {
      const { id, bytes } = candidates[c]!;
      let i = 0;
      while (i < length && bytes[i] === buf[start + i]) i++;
      if (i === length) return id;
    }
    return -1;
  }

  /** The same for a name with escapes in it. */
  matchEscaped(buf: Buffer, start: number, end: number): number {
    try {
      return this.names.indexOf(JSON.parse(buf.toString('utf8', start - 1, end + 1)) as string);
    } catch {
      return -1;
    }
  }
}

/**
 * Whether a JSON text holds more arrays, objects and names than `partsMax`. They are what makes parsing dear: three bytes of `{},` become
 * sixty of memory, and a megabyte of names that all differ takes half a second, in which nobody else is served. So it is asked of the
 * text, before it is parsed. A text that is no JSON is left to the parser.
 */
export function hasMorePartsThan(text: Buffer, partsMax: number): boolean {
  // Each part takes two bytes at least.
  if (text.length <= 2 * partsMax) return false;
  let parts = 0;
  for (let i = 0; i < text.length;) {
    const byte = text[i]!;
    if (byte === QUOTE) {
      i = skipString(text, i, text.length);
      if (i < 0) return false;
      continue;
    }
    if ((byte === OPEN_BRACE || byte === OPEN_BRACKET || byte === COLON) && ++parts > partsMax) return true;
    i++;
  }
  return false;
}

export interface MemberVisitor {
  /**
   * Called for each member whose name is in the table. `keyStart` is the name's opening quote, `valueStart` the value's
   * first byte. Answers the position after the value (`skipValue`, or another walk), or -1.
   */
  member(key: number, keyStart: number, valueStart: number): number;
}

/** Members of the object that was walked last, known or not. */
export let countedMembers = 0;

/** Walks the object that opens at `pos`; position after its closing brace, or -1. Counts into `countedMembers`. */
export function walkObject(buf: Buffer, pos: number, end: number, table: KeyTable, visitor: MemberVisitor): number {
  if (buf[pos] !== OPEN_BRACE) return -1;
  let i = skipSpace(buf, pos + 1, end);
  let members = 0;
  countedMembers = 0;
  if (buf[i] === CLOSE_BRACE && i < end) return i + 1;
  for (;;) {
    if (buf[i] !== QUOTE) return -1;
    members++;
    const keyStart = i++;
    let escaped = false;
    while (i < end && buf[i] !== QUOTE) {
      if (buf[i] === BACKSLASH) {
        escaped = true;
        i++;
      }
      i++;
    }
    if (i >= end) return -1;
    const keyEnd = i;
    i = spaced(buf, keyEnd + 1, end);
    if (buf[i] !== COLON) return -1;
    i = spaced(buf, i + 1, end);
    if (i >= end) return -1;
    const key = escaped ? table.matchEscaped(buf, keyStart + 1, keyEnd) : table.match(buf, keyStart + 1, keyEnd);
    i = key >= 0 ? visitor.member(key, keyStart, i) : skipValue(buf, i, end);
    if (i < 0) return -1;
    i = spaced(buf, i, end);
    if (i >= end) return -1;
    const byte = buf[i]!;
    if (byte === CLOSE_BRACE) {
      countedMembers = members;
      return i + 1;
    }
    if (byte !== COMMA) return -1;
    i = spaced(buf, i + 1, end);
  }
}

export interface ElementVisitor {
  /** Called with each element's first byte and place; answers the position after it, or -1. */
  element(index: number, start: number): number;
}

/** Walks the array that opens at `pos`; position after its closing bracket, or -1. */
export function walkArray(buf: Buffer, pos: number, end: number, visitor: ElementVisitor): number {
  if (buf[pos] !== OPEN_BRACKET) return -1;
  let i = skipSpace(buf, pos + 1, end);
  if (buf[i] === CLOSE_BRACKET && i < end) return i + 1;
  for (let index = 0; ; index++) {
    if (i >= end) return -1;
    i = visitor.element(index, i);
    if (i < 0) return -1;
    i = skipSpace(buf, i, end);
    if (i >= end) return -1;
    const byte = buf[i]!;
    if (byte === CLOSE_BRACKET) return i + 1;
    if (byte !== COMMA) return -1;
    i = skipSpace(buf, i + 1, end);
  }
}

/** Where a member stands: its name's opening quote, and its value. */
export interface Span {
  keyStart: number;
  start: number;
  end: number;
}

export interface TopLevel {
  /** One place per name of the table; undefined where the object has no such member. */
  spans: (Span | undefined)[];
  /** A wanted name stood there twice: readers disagree on which one counts, so the caller must not splice. */
  duplicate: boolean;
  /** Members in all, each as often as it stands there. */
  members: number;
}

/** Spans of the wanted members of the one object in `buf`; undefined when the text is malformed or goes on after it. */
export function scanTopLevel(buf: Buffer, table: KeyTable, from = 0, end = buf.length): TopLevel | undefined {
  const spans: (Span | undefined)[] = new Array<Span | undefined>(table.names.length).fill(undefined);
  let duplicate = false;
  const after = walkObject(buf, skipSpace(buf, from, end), end, table, {
    member(key, keyStart, start) {
      const valueEnd = skipValue(buf, start, end);
      if (spans[key] !== undefined) duplicate = true;
      spans[key] = { keyStart, start, end: valueEnd };
      return valueEnd;
    },
  });
  if (after < 0 || skipSpace(buf, after, end) !== end) return undefined;
  return { spans, duplicate, members: countedMembers };
}
