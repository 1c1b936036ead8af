import type { ProviderCall } from '../spec/provider.js';
import { Edits } from '../kit/edits.js';
import { KeyTable, scanTopLevel, skipValue, walkArray, walkObject, type Span } from '../kit/json-scan.js';
import { isRecord } from '../kit/safe-json.js';

/** What a server wants spelled differently from OpenAI's wire. */
export interface RequestRules {
  /** The name that the server knows the output limit by; `as_sent` where it knows both. */
  outputLimit: 'as_sent' | 'max_tokens' | 'max_completion_tokens';
  /** False for a server that refuses `stream_options`; such servers report usage without being asked. */
  streamOptions: boolean;
  /** Members of the body to rename, such as `seed`. */
  renames?: Readonly<Record<string, string>>;
  /** False for a server that does not know the role `developer`: it is what such a server calls `system`. */
  developerRole: boolean;
}

const MODEL = 0;
const STREAM_OPTIONS = 1;
const MAX_TOKENS = 2;
const MAX_COMPLETION_TOKENS = 3;
const MESSAGES = 4;
const NAMES = ['model', 'stream_options', 'max_tokens', 'max_completion_tokens', 'messages'];
const MESSAGE = new KeyTable(['role']);

const SYSTEM = Buffer.from('"system"');

const ASK_FOR_USAGE = Buffer.from(',"stream_options":{"include_usage":true}');

/**
 * Builds the upstream body: the client's bytes with the model replaced, usage asked for on streams, and the output
 * limit under the server's name and the gateway's ceiling. The client's buffer is never changed.
 */
export class RequestWriter {
  private readonly table: KeyTable;
  private readonly modelJson: Buffer;
  private readonly renames: readonly [string, string][];
  private readonly edits = new Edits();

  constructor(
    private readonly model: string,
    private readonly rules: RequestRules,
  ) {
    this.modelJson = Buffer.from(JSON.stringify(model));
    this.renames = Object.entries(rules.renames ?? {});
    this.table = new KeyTable([...NAMES, ...this.renames.map(([from]) => from)]);
  }

  write(call: ProviderCall): Buffer {
    const top = scanTopLevel(call.raw, this.table);
    const model = top?.spans[MODEL];
    // A name that stands twice is read differently by different servers: such a body is written anew from what was checked.
    if (top === undefined || model === undefined || top.members !== Object.keys(call.json).length) return this.rewrite(call);
    const { edits } = this;
    edits.clear();
    edits.replace(model.start, model.end, this.modelJson);
    if (call.operation === 'chat') this.editChat(call, top.spans, model);
    return edits.apply(call.raw);
  }

  private editChat(call: ProviderCall, spans: (Span | undefined)[], model: Span): void {
    const { edits, rules } = this;
    const options = spans[STREAM_OPTIONS];
    if (call.stream) {
      const given = call.json['stream_options'];
      if (!rules.streamOptions) {
        if (options !== undefined) edits.removeMember(call.raw, options.keyStart, options.end);
      } else if (options === undefined) {
        edits.replace(model.end, model.end, ASK_FOR_USAGE);
      } else if (!isRecord(given) || given['include_usage'] !== true) {
        edits.replace(options.start, options.end, Buffer.from(JSON.stringify({ ...(isRecord(given) ? given : {}), include_usage: true })));
      }
    }
    this.editLimit(call, spans, model);
    const messages = spans[MESSAGES];
    if (!rules.developerRole && messages !== undefined && Array.isArray(call.json['messages']) && call.json['messages'].some(isDeveloper)) {
      this.editRoles(call.raw, messages);
    }
    this.renames.forEach(([, to], i) => {
      const span = spans[NAMES.length + i];
      if (span !== undefined) edits.replace(span.keyStart, endOfKey(call.raw, span), Buffer.from(JSON.stringify(to)));
    });
  }

  private editRoles(raw: Buffer, messages: Span): void {
    const member = (_key: number, _keyStart: number, start: number): number => {
      const after = skipValue(raw, start, messages.end);
      if (JSON.parse(raw.toString('utf8', start, after)) === 'developer') this.edits.replace(start, after, SYSTEM);
      return after;
    };
    walkArray(raw, messages.start, messages.end, { element: (_index, start) => walkObject(raw, start, messages.end, MESSAGE, { member }) });
  }

  private editLimit(call: ProviderCall, spans: (Span | undefined)[], model: Span): void {
    const { edits, rules } = this;
    const given = [spans[MAX_TOKENS], spans[MAX_COMPLETION_TOKENS]];
    const ceiling = call.maxOutputTokens;
    const wanted = rules.outputLimit === 'as_sent' ? undefined : rules.outputLimit;
    if (given[0] === undefined && given[1] === undefined) {
      if (ceiling !== undefined) edits.replace(model.end, model.end, Buffer.from(`,"${wanted ?? 'max_tokens'}":${ceiling}`));
      return;
    }
    given.forEach((span, i) => {
      if (span === undefined) return;
      const name = i === 0 ? 'max_tokens' : 'max_completion_tokens';
      // With both given there is nothing to rename: the server judges.
      if (wanted !== undefined && wanted !== name && given[1 - i] === undefined) {
        edits.replace(span.keyStart, endOfKey(call.raw, span), Buffer.from(`"${wanted}"`));
      }
      const value = call.json[name];
      if (ceiling !== undefined && (typeof value !== 'number' || value > ceiling)) edits.replace(span.start, span.end, Buffer.from(String(ceiling)));
    });
  }

  private rewrite(call: ProviderCall): Buffer {
    const body: Record<string, unknown> = { ...call.json, model: this.model };
    if (call.operation !== 'chat') return Buffer.from(JSON.stringify(body));
    if (!this.rules.developerRole && Array.isArray(body['messages'])) {
      body['messages'] = body['messages'].map((message: unknown) => (isDeveloper(message) ? { ...(message as object), role: 'system' } : message));
    }
    if (call.stream && this.rules.streamOptions)
      body['stream_options'] = { ...(isRecord(body['stream_options']) ? body['stream_options'] : {}), include_usage: true };
    else if (call.stream) delete body['stream_options'];
    const limits = ['max_tokens', 'max_completion_tokens'].filter((name) => typeof body[name] === 'number');
    const wanted = this.rules.outputLimit === 'as_sent' ? (limits[0] ?? 'max_tokens') : this.rules.outputLimit;
    const limit = Math.min(...limits.map((name) => body[name] as number), call.maxOutputTokens ?? Number.POSITIVE_INFINITY);
    for (const name of limits) delete body[name];
    if (Number.isFinite(limit)) body[wanted] = limit;
    for (const [from, to] of this.renames) {
      if (!Object.hasOwn(body, from)) continue;
      body[to] = body[from];
      delete body[from];
    }
    return Buffer.from(JSON.stringify(body));
  }
}

function isDeveloper(message: unknown): boolean {
  return isRecord(message) && message['role'] === 'developer';
}

/** End of a member's name: the closing quote before the colon, which has only spaces around it. */
function endOfKey(buf: Buffer, span: Span): number {
  let i = span.start - 1;
  while (buf[i] !== 0x3a) i--;
  while (buf[i - 1] !== 0x22) i--;
  return i;
}
