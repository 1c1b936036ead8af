/**
 * Replacements in a buffer, gathered during a scan and applied in one copy. Reusable: `clear()` keeps the arrays.
 */
const COMMA = 0x2c;

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export class Edits {
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly texts: (Buffer | undefined)[] = [];
  private ordered = true;
  private growth = 0;
  count = 0;

  clear(): void {
    this.count = 0;
    this.growth = 0;
    this.ordered = true;
  }

  /** Replaces the bytes from `start` to `end`; an insertion has both alike, a removal no text. Answers the edit's place. */
  replace(start: number, end: number, text: Buffer | undefined): number {
    const i = this.count++;
    if (i > 0 && this.standsBefore(start, end, i - 1)) this.ordered = false;
    this.starts[i] = start;
    this.ends[i] = end;
    this.texts[i] = text;
    this.growth += (text === undefined ? 0 : text.length) - (end - start);
    return i;
  }

  /** Gives an edit of this scan another text. */
  retext(place: number, text: Buffer): void {
    this.growth += text.length - (this.texts[place]?.length ?? 0);
    this.texts[place] = text;
  }

  /** Removes an object's member together with one comma. Members of one object are removed in the order they stand. */
  removeMember(buf: Buffer, keyStart: number, valueEnd: number): void {
    let before = keyStart - 1;
    while (isSpace(buf[before])) before--;
    const takenByNeighbour = this.count > 0 && this.ends[this.count - 1] === before + 1;
    if (buf[before] === COMMA && !takenByNeighbour) {
      this.replace(before, valueEnd, undefined);
      return;
    }
    let after = valueEnd;
    while (isSpace(buf[after])) after++;
    this.replace(keyStart, buf[after] === COMMA ? after + 1 : valueEnd, undefined);
  }

  /** Bytes that the edited range will have. */
  size(from: number, end: number): number {
    return end - from + this.growth;
  }

  /** Writes the edited range to `out` at `at`; answers the position after it. `out` has room for `size()`. */
  write(buf: Buffer, from: number, end: number, out: Buffer, at: number): number {
    if (!this.ordered) this.sort();
    let position = from;
    let target = at;
    for (let i = 0; i < this.count; i++) {
      const start = this.starts[i]!;
      if (start > position) target += buf.copy(out, target, position, start);
      const text = this.texts[i];
      if (text !== undefined) target += text.copy(out, target);
      if (this.ends[i]! > position) position = this.ends[i]!;
    }
    return target + buf.copy(out, target, position, end);
  }

  /** A new buffer with the edits made; the given one itself when there are none. */
  apply(buf: Buffer): Buffer {
    if (this.count === 0) return buf;
    const out = Buffer.allocUnsafe(this.size(0, buf.length));
    return out.subarray(0, this.write(buf, 0, buf.length, out, 0));
  }

  /** Whether an edit belongs before the one at `place`: what is inserted at a place goes before what is replaced there. */
  private standsBefore(start: number, end: number, place: number): boolean {
    const other = this.starts[place]!;
    return start < other || (start === other && end === start && this.ends[place]! > other);
  }

  /** Insertion sort: a handful of edits, nearly in order, and those at one place keep theirs. */
  private sort(): void {
    for (let i = 1; i < this.count; i++) {
      const start = this.starts[i]!;
      const end = this.ends[i]!;
      const text = this.texts[i];
      let j = i - 1;
      for (; j >= 0 && this.standsBefore(start, end, j); j--) {
        this.starts[j + 1] = this.starts[j]!;
        this.ends[j + 1] = this.ends[j]!;
        this.texts[j + 1] = this.texts[j];
      }
      this.starts[j + 1] = start;
      this.ends[j + 1] = end;
      this.texts[j + 1] = text;
    }
    this.ordered = true;
  }
}
