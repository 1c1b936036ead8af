import { ProviderError } from '../spec/provider-error.js';
import { newChatId, unixNow, type FinishReason } from '../kit/chat-writer.js';
import { Edits } from '../kit/edits.js';
import { faultOf, providerError } from '../kit/errors.js';
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
import { isRecord, tryParseJson } from '../kit/safe-json.js';
import { ToolCallScan, type ToolCallState } from './tool-calls.js';

/**
 * One pass over a chat answer, or over one chunk of a stream, that notes what must change: the model becomes the alias,
 * id and created stay the same and are never empty, finish_reason is one of OpenAI's words or null, reasoning text is
 * spelled `reasoning_content`, the role comes once, tool calls are whole. Everything else passes byte for byte.
 */

const QUOTE = 0x22;
const LETTER_N = 0x6e;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;

/** More choices than OpenAI allows (128); beyond it the answer is refused. */
const CHOICES_MAX = 128;

const TOP = new KeyTable(['id', 'object', 'created', 'model', 'choices', 'usage', 'error']);
const CHOICE = new KeyTable(['index', 'delta', 'message', 'finish_reason']);
const DELTA = new KeyTable(['role', 'content', 'reasoning_content', 'reasoning', 'tool_calls', 'refusal', 'thinking']);

const REASONING_KEY = Buffer.from('"reasoning_content"');
const USAGE_MEMBER = Buffer.from(',"usage":');
const NULL = Buffer.from('null');
const EMPTY = Buffer.alloc(0);

/** Finish words of other servers, in OpenAI's. */
const FINISH_WORDS: Readonly<Record<string, FinishReason>> = {
  eos_token: 'stop',
  end_turn: 'stop',
  stop_sequence: 'stop',
  model_length: 'length',
  max_tokens: 'length',
  tool_use: 'tool_calls',
  safety: 'content_filter',
};
const OPENAI_FINISH_WORDS = new Set(['stop', 'length', 'tool_calls', 'content_filter', 'function_call']);

export class ChoiceState {
  roleSent = false;
  finished = false;
  readonly calls: ToolCallState[] = [];
}

export interface RewriterOptions {
  /** JSON text of the alias. */
  aliasJson: Buffer;
  streamed: boolean;
  /** Whether chunks carry `usage: null`; otherwise they have no such member. */
  includeUsage: boolean;
  /** A server that ends a turn of tool calls with `stop` means `tool_calls`. */
  stopMeansToolCalls: boolean;
}

export class ChatRewriter {
  readonly edits = new Edits();
  readonly choices: ChoiceState[] = [];
  /** Bytes of text produced so far, counted in streams only. */
  outputBytes = 0;
  /** Usage of the text scanned last, parsed; undefined where it had none. */
  usage: Record<string, unknown> | undefined;
  /** Choices in the text scanned last. */
  choiceCount = 0;
  /** Choices that ended without having sent the arguments of these calls; a fragment goes before the chunk. */
  readonly missingArguments: { choice: number; call: number }[] = [];

  private readonly tools: ToolCallScan;
  private readonly objectText: Buffer;
  private idText: Buffer | undefined;
  private createdText: Buffer | undefined;
  private chunk = 0;

  private buf: Buffer = EMPTY;
  private start = 0;
  private end = 0;
  private seen = 0;
  private usageStart = -1;
  private usageEnd = -1;
  private emptyId = -1;
  private emptyCreated = -1;
  private error: unknown;
  private choice: ChoiceState = new ChoiceState();
  private choiceIndex = -1;
  private deltaStart = -1;
  private deltaDone = false;
  private finishStart = -1;
  private finishEnd = -1;
  private partSeen = 0;

  constructor(private readonly options: RewriterOptions) {
    this.tools = new ToolCallScan(this.edits, options.streamed);
    this.objectText = Buffer.from(options.streamed ? '"chat.completion.chunk"' : '"chat.completion"');
  }

  /** Forgets the answer, so that the rewriter serves for another one. */
  reset(): void {
    this.choices.length = 0;
    this.idText = this.createdText = undefined;
    this.outputBytes = 0;
  }

  /** JSON texts of the id and the time that the answer bears; made up where the server sent none. */
  get id(): Buffer {
    return (this.idText ??= Buffer.from(JSON.stringify(newChatId())));
  }

  get created(): Buffer {
    return (this.createdText ??= Buffer.from(String(unixNow())));
  }

  /**
   * Scans one JSON object from `start` to `end` and notes its edits. Throws ProviderError `malformed` for what is no
   * answer, and the error that the object carries.
   */
  scan(buf: Buffer, start: number, end: number): void {
    const { options } = this;
    this.begin(buf, start, end);
    const from = skipSpace(buf, start, end);
    const after = walkObject(buf, from, end, TOP, this.topMembers);
    if (after < 0 || skipSpace(buf, after, end) !== end) throw malformed('an answer is not a JSON object');
    if (this.error !== undefined) throw providerError(undefined, faultOf(isRecord(this.error) ? { error: this.error } : { error: String(this.error) }));
    if (options.streamed && this.choiceCount === 0 && this.usage === undefined) return;
    if (this.emptyId >= 0) this.edits.retext(this.emptyId, this.id);
    if (this.emptyCreated >= 0) this.edits.retext(this.emptyCreated, this.created);
    if (options.streamed && options.includeUsage && this.choiceCount > 0) this.replaceUsage(NULL);
    this.insertMissing(from);
  }

  /** Replaces the usage object of the text scanned last, when it had one. */
  private replaceUsage(text: Buffer): void {
    if (this.usageStart >= 0) this.edits.replace(this.usageStart, this.usageEnd, text);
  }

  /** Gives the whole answer that was scanned last this usage, in the place of what its server sent for one. */
  setUsage(text: Buffer): void {
    if (this.usageStart >= 0) return this.replaceUsage(text);
    const close = this.buf.lastIndexOf(CLOSE_BRACE, this.end - 1);
    this.edits.replace(close, close, Buffer.concat([USAGE_MEMBER, text]));
  }

  /** Bytes of the usage object of the text scanned last; they go away with the buffer. */
  usageBytes(): Buffer {
    return this.buf.subarray(this.usageStart, this.usageEnd);
  }

  /** Whether any choice has text, a tool call or an end. */
  get begun(): boolean {
    return this.outputBytes > 0 || this.choices.some((choice) => choice.finished || choice.calls.length > 0);
  }

  allFinished(): boolean {
    return this.choices.length > 0 && this.choices.every((choice) => choice === undefined || choice.finished);
  }

  private begin(buf: Buffer, start: number, end: number): void {
    this.buf = buf;
    this.start = start;
    this.end = end;
    this.edits.clear();
    this.seen = 0;
    this.usage = undefined;
    this.usageStart = -1;
    this.error = undefined;
    this.emptyId = this.emptyCreated = -1;
    this.choiceCount = 0;
    this.missingArguments.length = 0;
    this.chunk++;
  }

  private readonly topMembers: MemberVisitor = {
    member: (key, keyStart, start) => {
      const { buf, end } = this;
      if (key === 4) {
        this.seen |= 1 << key;
        // Some servers send null where they mean none.
        return buf[start] === LETTER_N ? skipValue(buf, start, end) : walkArray(buf, start, end, this.choiceElements);
      }
      const after = skipValue(buf, start, end);
      if (after < 0) return -1;
      switch (key) {
        case 0:
          this.takeId(start, after);
          break;
        case 1:
          this.takeObject(start, after);
          break;
        case 2:
          this.takeCreated(start, after);
          break;
        case 3:
          this.edits.replace(start, after, this.options.aliasJson);
          break;
        case 5:
          this.takeUsage(keyStart, start, after);
          break;
        default:
          if (buf[start] !== LETTER_N) this.error = tryParseJson(buf.subarray(start, after)) ?? 'unreadable';
          return after;
      }
      this.seen |= 1 << key;
      return after;
    },
  };

  private takeId(start: number, end: number): void {
    if (this.idText !== undefined) {
      if (!sameBytes(this.buf, start, end, this.idText)) this.edits.replace(start, end, this.idText);
    } else if (this.buf[start] === QUOTE && end - start > 2) {
      this.idText = Buffer.from(this.buf.subarray(start, end));
    } else {
      // Azure's first chunk has an empty id and no choices: it is dropped, and the next one has the real id.
      this.emptyId = this.edits.replace(start, end, EMPTY);
    }
  }

  private takeCreated(start: number, end: number): void {
    const isTime = this.buf[start]! >= 0x31 && this.buf[start]! <= 0x39 && end - start < 12;
    if (this.createdText !== undefined) {
      if (!sameBytes(this.buf, start, end, this.createdText)) this.edits.replace(start, end, this.createdText);
    } else if (isTime) {
      this.createdText = Buffer.from(this.buf.subarray(start, end));
    } else {
      this.emptyCreated = this.edits.replace(start, end, EMPTY);
    }
  }

  private takeObject(start: number, end: number): void {
    if (end - start === this.objectText.length) return;
    const { buf } = this;
    if (buf.toString('latin1', start, end) === '"error"') this.error ??= tryParseJson(buf.subarray(this.start, this.end)) ?? 'unreadable';
    this.edits.replace(start, end, this.objectText);
  }

  private takeUsage(keyStart: number, start: number, end: number): void {
    const { buf } = this;
    if (buf[start] === OPEN_BRACE) {
      const parsed = tryParseJson(buf.subarray(start, end));
      if (isRecord(parsed)) {
        this.usage = parsed;
        this.usageStart = start;
        this.usageEnd = end;
      }
    }
    if (!this.options.streamed) {
      this.usageStart = start;
      this.usageEnd = end;
      return;
    }
    if (!this.options.includeUsage) this.edits.removeMember(buf, keyStart, end);
    else if (this.usage === undefined && buf[start] !== LETTER_N) this.edits.replace(start, end, NULL);
  }

  private readonly choiceElements: ElementVisitor = {
    element: (position, start) => {
      const { buf, end } = this;
      this.choiceCount++;
      this.choiceIndex = -1;
      this.deltaStart = this.finishStart = -1;
      this.deltaDone = false;
      let after = walkObject(buf, start, end, CHOICE, this.choiceMembers);
      if (after < 0) return -1;
      if (this.choiceIndex < 0) {
        if (buf[skipSpace(buf, start + 1, end)] === CLOSE_BRACE) return -1;
        this.edits.replace(start + 1, start + 1, Buffer.from(`"index":${position},`));
        this.selectChoice(position);
      }
      if (!this.deltaDone && this.walkDelta(start) < 0) after = -1;
      this.settleFinish(after - 1);
      return after;
    },
  };

  private readonly choiceMembers: MemberVisitor = {
    member: (key, _keyStart, start) => {
      const { buf, end } = this;
      if (key === 0) {
        const after = skipValue(buf, start, end);
        const index = Number(buf.toString('latin1', start, after));
        if (after > 0 && Number.isInteger(index) && index >= 0) this.selectChoice(index);
        else return -1;
        return after;
      }
      if (key === 3) {
        this.finishStart = start;
        return (this.finishEnd = skipValue(buf, start, end));
      }
      if ((key === 1) !== this.options.streamed) return skipValue(buf, start, end);
      if (buf[start] === LETTER_N) return this.takeNullDelta(start);
      this.deltaStart = start;
      // The delta can only be judged once its choice is known; servers send the index first, but need not.
      return this.choiceIndex >= 0 ? this.walkDelta(-1) : skipValue(buf, start, end);
    },
  };

  private takeNullDelta(start: number): number {
    if (!this.options.streamed) return -1;
    const after = skipValue(this.buf, start, this.end);
    this.edits.replace(start, after, EMPTY_OBJECT);
    this.deltaDone = true;
    return after;
  }

  private selectChoice(index: number): void {
    if (index >= CHOICES_MAX) throw malformed('a choice has an index beyond any that was asked for');
    this.choiceIndex = index;
    this.choice = this.choices[index] ??= new ChoiceState();
  }

  /** Walks the delta (or message); a choice without one gets it after its opening brace at `choiceStart`. */
  private walkDelta(choiceStart: number): number {
    const { buf, end, choice, options } = this;
    this.deltaDone = true;
    if (this.deltaStart < 0) {
      if (!options.streamed) return -1;
      this.edits.replace(choiceStart + 1, choiceStart + 1, DELTA_MEMBER);
      return 0;
    }
    this.partSeen = 0;
    const after = walkObject(buf, this.deltaStart, end, DELTA, this.deltaMembers);
    if (after < 0) return -1;
    const empty = buf[skipSpace(buf, this.deltaStart + 1, end)] === CLOSE_BRACE;
    if (!choice.roleSent) {
      choice.roleSent = true;
      this.edits.replace(this.deltaStart + 1, this.deltaStart + 1, empty ? ROLE_ALONE : ROLE_MEMBER);
    }
    if (!options.streamed && (this.partSeen & 2) === 0) this.edits.replace(after - 1, after - 1, CONTENT_NULL);
    return after;
  }

  private readonly deltaMembers: MemberVisitor = {
    member: (key, keyStart, start) => {
      const { buf, end, options } = this;
      if (key === 4) {
        if (buf[start] === LETTER_N) return skipValue(buf, start, end);
        const after = this.tools.scan(buf, start, end, this.choice.calls, this.chunk);
        this.outputBytes += this.tools.bytes;
        return after;
      }
      if (key === 0) return this.takeRole(keyStart, start);
      if ((key === 2 || key === 3 || key === 6) && this.partSeen & 4) return this.removed(keyStart, start);
      if (key === 3 || key === 6) this.edits.replace(keyStart, keyStart + (key === 3 ? 11 : 10), REASONING_KEY);
      if (key === 1 && buf[start] === OPEN_BRACKET) return this.takeContentParts(start);
      this.partSeen |= key === 1 ? 2 : key === 5 ? 0 : 4;
      if (!options.streamed || buf[start] !== QUOTE) return skipValue(buf, start, end);
      const after = skipCounting(buf, start, end);
      if (after > 0) this.outputBytes += countedBytes;
      return after;
    },
  };

  /** Content as a list of parts (reasoning models of some servers) becomes text, with the thinking beside it. */
  private takeContentParts(start: number): number {
    const after = skipValue(this.buf, start, this.end);
    const parts = after < 0 ? undefined : tryParseJson(this.buf.subarray(start, after));
    if (!Array.isArray(parts)) return -1;
    const text = textOfParts(parts, 'text');
    const thinking = textOfParts(parts, 'thinking');
    this.outputBytes += Buffer.byteLength(text) + Buffer.byteLength(thinking);
    const reasoning = thinking === '' || this.partSeen & 4 ? '' : `,"reasoning_content":${JSON.stringify(thinking)}`;
    this.partSeen |= reasoning === '' ? 2 : 6;
    this.edits.replace(start, after, Buffer.from(JSON.stringify(text) + reasoning));
    return after;
  }

  private takeRole(keyStart: number, start: number): number {
    const after = skipValue(this.buf, start, this.end);
    const given = this.buf[start] === QUOTE && after - start > 2;
    if (this.choice.roleSent) {
      if (after > 0) this.edits.removeMember(this.buf, keyStart, after);
    } else {
      this.choice.roleSent = true;
      if (!given) this.edits.replace(start, after, ASSISTANT);
    }
    return after;
  }

  private removed(keyStart: number, start: number): number {
    const after = skipValue(this.buf, start, this.end);
    if (after > 0) this.edits.removeMember(this.buf, keyStart, after);
    return after;
  }

  /** `closing` is the choice's closing brace. */
  private settleFinish(closing: number): void {
    const { buf, choice } = this;
    const given = this.finishStart >= 0 && buf[this.finishStart] === QUOTE && this.finishEnd - this.finishStart > 2;
    if (!given) {
      if (this.options.streamed) {
        if (this.finishStart < 0) this.edits.replace(closing, closing, FINISH_NULL);
        else if (buf[this.finishStart] !== LETTER_N) this.edits.replace(this.finishStart, this.finishEnd, NULL);
        return;
      }
      const word = Buffer.from(JSON.stringify(choice.calls.length > 0 ? 'tool_calls' : 'stop'));
      if (this.finishStart >= 0) this.edits.replace(this.finishStart, this.finishEnd, word);
      else this.edits.replace(closing, closing, Buffer.concat([FINISH_KEY, word]));
      return;
    }
    const word = buf.toString('utf8', this.finishStart + 1, this.finishEnd - 1);
    if (word === 'error') throw new ProviderError('server_error', { internal: 'the model ended with an error' });
    const meant = this.meantFinish(word);
    if (meant !== word) this.edits.replace(this.finishStart, this.finishEnd, Buffer.from(JSON.stringify(meant)));
    choice.finished = true;
    if (!this.options.streamed || (meant !== 'tool_calls' && meant !== 'stop')) return;
    for (const call of this.tools.fillEmpty(choice.calls, this.chunk)) this.missingArguments.push({ choice: this.choiceIndex, call });
  }

  private meantFinish(word: string): string {
    if (word === 'stop' && this.options.stopMeansToolCalls && this.choice.calls.length > 0) return 'tool_calls';
    if (OPENAI_FINISH_WORDS.has(word)) return word;
    return FINISH_WORDS[word.toLowerCase()] ?? (this.choice.calls.length > 0 ? 'tool_calls' : 'stop');
  }

  private insertMissing(objectStart: number): void {
    const { seen, options } = this;
    // id, object, created, model; and usage, which all chunks carry when the client asked for it.
    const wanted = options.streamed && options.includeUsage ? 0b101111 : 0b001111;
    if ((seen & wanted) === wanted) return;
    let text = '';
    if ((seen & 1) === 0) text += `"id":${this.id.toString()},`;
    if ((seen & 2) === 0) text += `"object":${this.objectText.toString()},`;
    if ((seen & 4) === 0) text += `"created":${this.created.toString()},`;
    if ((seen & 8) === 0) text += `"model":${options.aliasJson.toString()},`;
    if ((seen & wanted & 32) !== (wanted & 32)) text += '"usage":null,';
    this.edits.replace(objectStart + 1, objectStart + 1, Buffer.from(text));
  }
}

const EMPTY_OBJECT = Buffer.from('{}');
const ASSISTANT = Buffer.from('"assistant"');
const DELTA_MEMBER = Buffer.from('"delta":{},');
const ROLE_MEMBER = Buffer.from('"role":"assistant",');
const ROLE_ALONE = Buffer.from('"role":"assistant"');
const CONTENT_NULL = Buffer.from(',"content":null');
const FINISH_KEY = Buffer.from(',"finish_reason":');
const FINISH_NULL = Buffer.from(',"finish_reason":null');

/** Text of the parts of one type; a thinking part holds parts of its own. */
function textOfParts(parts: readonly unknown[], type: 'text' | 'thinking'): string {
  let text = '';
  for (const part of parts) {
    if (!isRecord(part) || part['type'] !== type) continue;
    const value = part[type];
    text += Array.isArray(value) ? textOfParts(value, 'text') : typeof value === 'string' ? value : '';
  }
  return text;
}

function malformed(internal: string): ProviderError {
  return new ProviderError('malformed', { internal });
}

function sameBytes(buf: Buffer, start: number, end: number, text: Buffer): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (buf[start + i] !== text[i]) return false;
  return true;
}
