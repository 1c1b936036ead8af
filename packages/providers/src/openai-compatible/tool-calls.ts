import { ProviderError } from '../spec/provider-error.js';
import { newToolCallId } from '../kit/chat-writer.js';
import type { Edits } from '../kit/edits.js';
import {
  KeyTable,
  countedBytes,
  skipCounting,
  skipSpace,
  skipValue,
  walkArray,
  walkObject,
  type ElementVisitor,
  type MemberVisitor,
} from '../kit/json-scan.js';

/**
 * Repairs `tool_calls`: every call gets one index, counted from 0 in the order the calls begin, an id, a type and
 * arguments that are text. Servers are known to number all parallel calls 0, to leave index, id or type out, to count
 * other blocks too, and to send the arguments as an object. A right fragment passes unchanged.
 */

/** More calls than any model makes in one turn; beyond it the stream is refused. */
const CALLS_MAX = 512;

const NO_ARGUMENTS = Buffer.from('"{}"');
const EMPTY_STRING = Buffer.from('""');
const TYPE_MEMBER = Buffer.from('"type":"function",');
const TYPE_VALUE = Buffer.from('"function"');
const ARGUMENTS_MEMBER = Buffer.from('"arguments":');

const QUOTE = 0x22;
const COMMA = 0x2c;
const LETTER_N = 0x6e;
const CLOSE_BRACE = 0x7d;

export interface ToolCallState {
  /** JSON text of the id that the client knows the call by; as the server wrote it where it did. */
  id: string;
  serverIndex: number;
  argumentBytes: number;
  /** The edit that holds the call's empty arguments, and its text with `{}` instead; valid for the chunk numbered `emptyIn`. */
  emptyEdit: number;
  emptyIn: number;
  filled: Buffer;
}

const CALL = new KeyTable(['index', 'id', 'type', 'function']);
const FUNCTION = new KeyTable(['name', 'arguments']);

export class ToolCallScan {
  /** Bytes of arguments in the array scanned last. */
  bytes = 0;
  private buf: Buffer = EMPTY_STRING;
  private end = 0;
  private calls: ToolCallState[] = [];
  private chunk = 0;
  // The fragment at hand: positions of its values, -1 where it has none.
  private index = -1;
  private indexStart = -1;
  private indexEnd = -1;
  private idStart = -1;
  private idEnd = -1;
  private typeStart = -1;
  private typeEnd = -1;
  private functionStart = -1;
  private nameStart = -1;
  private nameEnd = -1;
  private argumentsStart = -1;
  private argumentsEnd = -1;

  constructor(
    private readonly edits: Edits,
    /** Fragments of a stream carry an index; the calls of a whole answer do not, and their arguments are complete. */
    private readonly streamed: boolean,
  ) {}

  /** Scans the array that opens at `pos`; the position after it, or -1. `calls` is the choice's state, kept between chunks. */
  scan(buf: Buffer, pos: number, end: number, calls: ToolCallState[], chunk: number): number {
    this.buf = buf;
    this.end = end;
    this.calls = calls;
    this.chunk = chunk;
    this.bytes = 0;
    return walkArray(buf, pos, end, this.elements);
  }

  private readonly elements: ElementVisitor = {
    element: (position, start) => {
      this.index = this.indexStart = this.idStart = this.typeStart = this.functionStart = this.nameStart = this.argumentsStart = -1;
      const after = walkObject(this.buf, start, this.end, CALL, this.callMembers);
      if (after >= 0) this.settle(position, start, after);
      return after;
    },
  };

  private readonly callMembers: MemberVisitor = {
    member: (key, _keyStart, start) => {
      if (key === 3) {
        this.functionStart = start;
        return this.buf[start] === LETTER_N ? skipValue(this.buf, start, this.end) : walkObject(this.buf, start, this.end, FUNCTION, this.functionMembers);
      }
      const after = skipValue(this.buf, start, this.end);
      if (key === 0) {
        this.indexStart = start;
        this.indexEnd = after;
        this.index = this.digits(start, after);
      } else if (key === 1) {
        this.idStart = start;
        this.idEnd = after;
      } else {
        this.typeStart = start;
        this.typeEnd = after;
      }
      return after;
    },
  };

  private readonly functionMembers: MemberVisitor = {
    member: (key, _keyStart, start) => {
      if (key === 0) {
        this.nameStart = start;
        return (this.nameEnd = skipValue(this.buf, start, this.end));
      }
      this.argumentsStart = start;
      return (this.argumentsEnd = skipValue(this.buf, start, this.end));
    },
  };

  private digits(start: number, end: number): number {
    let value = 0;
    for (let i = start; i < end; i++) {
      const digit = this.buf[i]! - 0x30;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  private settle(position: number, start: number, after: number): void {
    const { calls } = this;
    const id =
      this.idStart >= 0 && this.buf[this.idStart] === QUOTE && this.idEnd - this.idStart > 2 ? this.buf.toString('utf8', this.idStart, this.idEnd) : '';
    const known = this.find(position, after, id);
    const at = known >= 0 ? known : calls.length;
    if (known < 0) {
      if (at === CALLS_MAX) throw new ProviderError('malformed', { internal: 'too many tool calls' });
      calls.push({ id, serverIndex: this.index, argumentBytes: 0, emptyEdit: -1, emptyIn: -1, filled: NO_ARGUMENTS });
    }
    if (this.streamed && this.index !== at) {
      if (this.indexStart < 0) this.edits.replace(start + 1, start + 1, Buffer.from(`"index":${at},`));
      else this.edits.replace(this.indexStart, this.indexEnd, Buffer.from(String(at)));
    }
    const call = calls[at]!;
    if (known < 0) this.complete(call, start);
    this.settleArguments(call, known < 0);
  }

  /** Which call the fragment belongs to: by id, then index, then place; -1 for one that begins here. */
  private find(position: number, after: number, id: string): number {
    const { calls, index } = this;
    const named = this.nameStart >= 0 && this.buf[this.nameStart] === QUOTE && this.nameEnd - this.nameStart > 2;
    if (!this.streamed) return -1;
    if (id !== '') {
      const same = calls.findIndex((call) => call.id === id && (index < 0 || call.serverIndex === index));
      // A server that makes up a new id for each fragment still gives the name only once.
      if (same >= 0 || named) return same;
    }
    if (index >= 0) return calls.findLastIndex((call) => call.serverIndex === index);
    if (named) return -1;
    const several = position > 0 || this.buf[skipSpace(this.buf, after, this.end)] === COMMA;
    return several ? (position < calls.length ? position : -1) : calls.length - 1;
  }

  /** Gives a call that begins what it must have: an id and a type. */
  private complete(call: ToolCallState, start: number): void {
    if (call.id === '') {
      call.id = JSON.stringify(newToolCallId());
      if (this.idStart < 0) this.edits.replace(start + 1, start + 1, Buffer.from(`"id":${call.id},`));
      else this.edits.replace(this.idStart, this.idEnd, Buffer.from(call.id));
    }
    if (this.typeStart < 0) this.edits.replace(start + 1, start + 1, TYPE_MEMBER);
    else if (this.buf[this.typeStart] !== QUOTE || this.typeEnd - this.typeStart <= 2) this.edits.replace(this.typeStart, this.typeEnd, TYPE_VALUE);
  }

  private settleArguments(call: ToolCallState, begins: boolean): void {
    const { buf } = this;
    if (this.functionStart < 0 || buf[this.functionStart] === LETTER_N) return;
    const start = this.argumentsStart;
    if (start < 0) {
      if (begins) this.insertArguments(call);
      return;
    }
    if (buf[start] === QUOTE) {
      if (this.argumentsEnd - start === 2) {
        if (begins) this.noteEmpty(call, this.edits.replace(start, this.argumentsEnd, this.emptyText()));
        return;
      }
      skipCounting(buf, start, this.argumentsEnd);
      call.argumentBytes += countedBytes;
      this.bytes += countedBytes;
    } else if (buf[start] === LETTER_N) {
      const edit = this.edits.replace(start, this.argumentsEnd, begins ? this.emptyText() : EMPTY_STRING);
      if (begins) this.noteEmpty(call, edit);
    } else {
      const text = buf.toString('utf8', start, this.argumentsEnd);
      this.edits.replace(start, this.argumentsEnd, Buffer.from(JSON.stringify(text)));
      const bytes = Buffer.byteLength(text);
      call.argumentBytes += bytes;
      this.bytes += bytes;
    }
  }

  private insertArguments(call: ToolCallState): void {
    const at = skipSpace(this.buf, this.functionStart + 1, this.end);
    const comma = Buffer.from(this.buf[at] === CLOSE_BRACE ? '' : ',');
    const edit = this.edits.replace(at, at, Buffer.concat([ARGUMENTS_MEMBER, this.emptyText(), comma]));
    this.noteEmpty(call, edit, Buffer.concat([ARGUMENTS_MEMBER, NO_ARGUMENTS, comma]));
  }

  private emptyText(): Buffer {
    return this.streamed ? EMPTY_STRING : NO_ARGUMENTS;
  }

  private noteEmpty(call: ToolCallState, edit: number, filled: Buffer = NO_ARGUMENTS): void {
    call.emptyEdit = edit;
    call.emptyIn = this.chunk;
    call.filled = filled;
  }

  /**
   * Called when a choice ends with its calls complete. A call without arguments becomes `{}`: in this chunk where it began
   * here, else by a fragment that goes before. Answers the indexes that need such a fragment.
   */
  fillEmpty(calls: ToolCallState[], chunk: number): number[] {
    const missing: number[] = [];
    for (const [index, call] of calls.entries()) {
      if (call.argumentBytes > 0) continue;
      call.argumentBytes = 2;
      if (call.emptyIn === chunk) this.edits.retext(call.emptyEdit, call.filled);
      else missing.push(index);
    }
    return missing;
  }
}
