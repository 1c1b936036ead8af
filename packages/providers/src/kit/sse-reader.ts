import { ProviderError } from '../spec/provider-error.js';

/**
 * Reads server-sent events out of buffers as they arrive, however they are cut (also inside a UTF-8 character or between
 * CR and LF), and hands out each event's data as a byte range. Nothing is decoded; an event that lies whole in one buffer
 * is not copied either.
 *
 * Lines end with LF, CR or CRLF; `data:` may lack the space; several data lines join with LF; comments and unknown fields
 * are skipped; an event without data is dropped, and so is one that the stream ends in the middle of.
 */
export const SSE_EVENT_BYTES_MAX = 1024 * 1024;

/** `data` is valid from `start` to `end`, and only during the call. `event` is "" where the event had no name. */
export type SseHandler = (data: Buffer, start: number, end: number, event: string) => void;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const EMPTY = Buffer.alloc(0);
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export class SseReader {
  /** Start of a line whose end has not come yet. */
  private rest: Buffer = EMPTY;
  /** Data lines of the event being read, where they are not in the buffer at hand: the first `keptBytes` of it. */
  private kept: Buffer | undefined;
  private keptBytes = 0;
  private dataBuf: Buffer = EMPTY;
  private dataStart = -1;
  private dataEnd = -1;
  private event = '';
  private skipLf = false;
  private started = false;

  constructor(
    private readonly onEvent: SseHandler,
    private readonly eventBytesMax = SSE_EVENT_BYTES_MAX,
  ) {}

  /** Throws ProviderError `malformed` for an event beyond the bound, and whatever the handler throws. */
  push(chunk: Buffer): void {
    let buf = chunk;
    if (this.rest.length > 0) {
      if (this.rest.length + chunk.length > this.eventBytesMax + 65_536) this.checkRest(chunk);
      buf = Buffer.concat([this.rest, chunk]);
      this.rest = EMPTY;
    }
    let pos = 0;
    if (!this.started) {
      if (buf.length < 3 && BOM.subarray(0, buf.length).equals(buf)) {
        this.rest = buf;
        return;
      }
      this.started = true;
      if (buf.length >= 3 && buf.compare(BOM, 0, 3, 0, 3) === 0) pos = 3;
    }
    const crAt = buf.indexOf(CR, pos);
    pos = crAt < 0 && !this.skipLf ? this.readLfLines(buf, pos) : this.readAnyLines(buf, pos, crAt);
    if (pos < buf.length) this.rest = pos === 0 ? buf : Buffer.from(buf.subarray(pos));
    if (this.rest.length + this.keptBytes > this.eventBytesMax) throw tooLong();
    this.keepData();
  }

  private readLfLines(buf: Buffer, from: number): number {
    let pos = from;
    for (;;) {
      // A blank line follows each data line: that case is seen without a native search.
      const end = buf[pos] === LF ? pos : buf.indexOf(LF, pos);
      if (end < 0) return pos;
      this.line(buf, pos, end);
      pos = end + 1;
    }
  }

  private readAnyLines(buf: Buffer, from: number, firstCr: number): number {
    let pos = from;
    if (this.skipLf && pos < buf.length) {
      if (buf[pos] === LF) pos++;
      this.skipLf = false;
    }
    let cr = firstCr;
    for (;;) {
      const lf = buf.indexOf(LF, pos);
      if (cr >= 0 && cr < pos) cr = buf.indexOf(CR, pos);
      const isCr = cr >= 0 && (lf < 0 || cr < lf);
      const end = isCr ? cr : lf;
      if (end < 0) return pos;
      this.line(buf, pos, end);
      pos = end + 1;
      if (isCr) {
        if (pos === buf.length) this.skipLf = true;
        else if (buf[pos] === LF) pos++;
      }
    }
  }

  private line(buf: Buffer, start: number, end: number): void {
    if (start === end) {
      this.dispatch();
    } else if (buf[start] === 0x64 && startsWith(buf, start, end, 'data')) {
      const value = valueAt(buf, start + 4, end);
      if (value >= 0) this.addData(buf, value, end);
    } else if (buf[start] === 0x65 && startsWith(buf, start, end, 'event')) {
      const value = valueAt(buf, start + 5, end);
      if (value >= 0) this.event = buf.toString('utf8', value, Math.min(end, value + 128));
    }
  }

  private addData(buf: Buffer, start: number, end: number): void {
    if (end - start + this.keptBytes > this.eventBytesMax) throw tooLong();
    if (this.dataStart >= 0) this.keepData();
    this.dataBuf = buf;
    this.dataStart = start;
    this.dataEnd = end;
    // The line is not whole data on its own when others came before it: join them.
    if (this.kept !== undefined) this.keepData();
  }

  /** Copies the data line at hand to the event's own store, since the buffer goes away or another line follows. */
  private keepData(): void {
    if (this.dataStart < 0) return;
    const { kept, keptBytes } = this;
    const at = kept === undefined ? 0 : keptBytes + 1;
    const size = at + this.dataEnd - this.dataStart;
    if (size > this.eventBytesMax) throw tooLong();
    let store = kept;
    if (store === undefined || store.length < size) {
      // Doubled, so that an event of very many lines is not copied anew for each of them.
      store = Buffer.allocUnsafe(Math.max(size, 2 * (kept?.length ?? 0)));
      kept?.copy(store, 0, 0, keptBytes);
    }
    if (at > 0) store[keptBytes] = LF;
    this.dataBuf.copy(store, at, this.dataStart, this.dataEnd);
    this.kept = store;
    this.keptBytes = size;
    this.dataStart = -1;
    this.dataBuf = EMPTY;
  }

  private dispatch(): void {
    const event = this.event;
    this.event = '';
    if (this.kept !== undefined) {
      const { kept, keptBytes } = this;
      this.kept = undefined;
      this.keptBytes = 0;
      this.onEvent(kept, 0, keptBytes, event);
    } else if (this.dataStart >= 0) {
      const start = this.dataStart;
      this.dataStart = -1;
      this.onEvent(this.dataBuf, start, this.dataEnd, event);
    }
  }

  private checkRest(chunk: Buffer): void {
    if (chunk.indexOf(LF) < 0 && chunk.indexOf(CR) < 0) throw tooLong();
  }
}

function tooLong(): ProviderError {
  return new ProviderError('malformed', { internal: 'an event of the stream is too long' });
}

function startsWith(buf: Buffer, start: number, end: number, name: string): boolean {
  if (end - start < name.length) return false;
  for (let i = 1; i < name.length; i++) if (buf[start + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** Start of a field's value; -1 when the name goes on and so is another one. */
function valueAt(buf: Buffer, pos: number, end: number): number {
  if (pos === end) return end;
  if (buf[pos] !== COLON) return -1;
  return pos + 1 < end && buf[pos + 1] === SPACE ? pos + 2 : pos + 1;
}
