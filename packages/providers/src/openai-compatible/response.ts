import type { Meters } from '@omg/domain';
import type { JsonReply, ProviderCall } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { unixNow } from '../kit/chat-writer.js';
import { Edits } from '../kit/edits.js';
import { asVector, embeddingsBody, encodingFormatOf, inputCountOf, vectorFromBase64 } from '../kit/embeddings.js';
import { billed, readBilled } from '../kit/consumed.js';
import { faultOf, providerError } from '../kit/errors.js';
import { imageSizeOf } from '../kit/images.js';
import { KeyTable, scanTopLevel, skipString, skipValue, walkArray, walkObject } from '../kit/json-scan.js';
import { isRecord, parseJsonObject, tryParseJson } from '../kit/safe-json.js';
import { estimatedMeters, metersFromUsage, usageFromMeters } from '../kit/usage.js';
import type { ChatRewriter } from './chat-rewriter.js';

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const LETTER_N = 0x6e;

/**
 * A chat completion that was not streamed: the server's bytes with what must change. The rewriter may be used again, since
 * nothing of it is left in the reply.
 */
export function chatReply(body: Buffer, rewriter: ChatRewriter, inputTokensEstimate: number): JsonReply {
  rewriter.reset();
  try {
    rewriter.scan(body, 0, body.length);
    if (rewriter.choiceCount === 0) throw malformed('an answer without choices');
  } catch (error) {
    throw billed(error, rewriter.usage && metersFromUsage(rewriter.usage));
  }
  const { usage } = rewriter;
  const meters = usage === undefined ? undefined : metersFromUsage(usage);
  if (meters === undefined) {
    const outputBytes = bytesOf(body);
    rewriter.setUsage(Buffer.from(JSON.stringify(usageFromMeters(estimatedMeters(inputTokensEstimate, outputBytes)))));
    return { kind: 'json', body: rewriter.edits.apply(body), outputBytes };
  }
  if (!hasTotals(usage!)) rewriter.setUsage(Buffer.from(JSON.stringify({ ...usage, ...usageFromMeters(meters) })));
  return { kind: 'json', body: rewriter.edits.apply(body), meters, outputBytes: 0 };
}

function hasTotals(usage: Record<string, unknown>): boolean {
  return typeof usage['prompt_tokens'] === 'number' && typeof usage['completion_tokens'] === 'number' && typeof usage['total_tokens'] === 'number';
}

/** Bytes that the model wrote; only needed where the server reports no usage. */
function bytesOf(body: Buffer): number {
  const choices = parseJsonObject(body, 'an answer')['choices'];
  if (!Array.isArray(choices)) return 0;
  let bytes = 0;
  for (const choice of choices) {
    const message: unknown = isRecord(choice) ? choice['message'] : undefined;
    if (!isRecord(message)) continue;
    for (const name of ['content', 'reasoning_content', 'reasoning', 'refusal'])
      if (typeof message[name] === 'string') bytes += Buffer.byteLength(message[name]);
    if (message['tool_calls']) bytes += Buffer.byteLength(JSON.stringify(message['tool_calls']));
  }
  return bytes;
}

const EMBEDDINGS = new KeyTable(['object', 'data', 'model', 'usage', 'error']);
const EMBEDDING = new KeyTable(['index', 'embedding']);

/** An embeddings answer: one vector per input, in their order, in the encoding that the client asked for. */
export function embeddingsReply(body: Buffer, call: ProviderCall): JsonReply {
  const top = scanTopLevel(body, EMBEDDINGS);
  if (top === undefined) throw malformed('an embeddings answer is not a JSON object');
  const [object, data, model, usage, error] = top.spans;
  const meters = usage === undefined ? undefined : metersFromUsage(tryParseJson(body.subarray(usage.start, usage.end)));
  if (error !== undefined && body[error.start] !== LETTER_N) throw billed(providerError(undefined, faultOf(parseJsonObject(body, 'an answer'))), meters);
  if (data === undefined) throw billed(malformed('an embeddings answer without data'), meters);
  const wanted = encodingFormatOf(call.json);
  const passes =
    object !== undefined &&
    model !== undefined &&
    meters !== undefined &&
    !top.duplicate &&
    isAsAsked(body, data.start, data.end, wanted === 'base64' ? QUOTE : OPEN_BRACKET, inputCountOf(call.json));
  const known = meters === undefined ? {} : { meters };
  if (!passes) return { kind: 'json', body: readBilled(meters, () => rewriteEmbeddings(body, call, meters)), ...known, outputBytes: 0 };
  const edits = new Edits();
  edits.replace(model.start, model.end, Buffer.from(JSON.stringify(call.alias)));
  return { kind: 'json', body: edits.apply(body), ...known, outputBytes: 0 };
}

/** Whether `data` holds `count` flat vectors, numbered in order, each beginning with the sign of the wanted encoding. */
function isAsAsked(buf: Buffer, start: number, end: number, sign: number, count: number): boolean {
  let position = 0;
  let seen = 0;
  let numbered = 0;
  const member = (key: number, _keyStart: number, valueStart: number): number => {
    if (key === 0) {
      const after = skipValue(buf, valueStart, end);
      numbered++;
      return Number(buf.toString('latin1', valueStart, after)) === position ? after : -1;
    }
    if (buf[valueStart] !== sign) return -1;
    seen++;
    if (sign === QUOTE) return skipString(buf, valueStart, end);
    // Numbers only: the closing bracket is found natively, and a nested list shows at once.
    const close = buf.indexOf(CLOSE_BRACKET, valueStart);
    return close < 0 || close >= end || buf[valueStart + 1] === OPEN_BRACKET || close === valueStart + 1 ? -1 : close + 1;
  };
  const element = (index: number, at: number): number => {
    position = index;
    return walkObject(buf, at, end, EMBEDDING, { member });
  };
  return walkArray(buf, start, end, { element }) === end && seen === count && numbered === count && position === count - 1;
}

function rewriteEmbeddings(body: Buffer, call: ProviderCall, meters: Meters | undefined): Buffer {
  const data = parseJsonObject(body, 'an embeddings answer')['data'];
  if (!Array.isArray(data) || data.length !== inputCountOf(call.json)) throw malformed('an embeddings answer has not one vector per input');
  const vectors = new Array<number[]>(data.length);
  data.forEach((item: unknown, position) => {
    if (!isRecord(item)) throw malformed('an embedding is not an object');
    const index = typeof item['index'] === 'number' ? item['index'] : position;
    if (!Number.isInteger(index) || index < 0 || index >= data.length || vectors[index] !== undefined)
      throw malformed('the embeddings are not numbered one by one');
    vectors[index] = typeof item['embedding'] === 'string' ? vectorFromBase64(item['embedding']) : asVector(item['embedding']);
  });
  return embeddingsBody(call, vectors, meters);
}

const IMAGES = new KeyTable(['created', 'data', 'usage', 'size', 'quality', 'error']);
const IMAGE = new KeyTable(['b64_json']);

/** An images answer passes as it is; what it cost is read from it, and from the request where the answer does not say. */
export function imagesReply(body: Buffer, call: ProviderCall): JsonReply {
  const top = scanTopLevel(body, IMAGES);
  if (top === undefined) throw malformed('an images answer is not a JSON object');
  const [created, data, usage, size, quality, error] = top.spans;
  const counted = usage && metersFromUsage(tryParseJson(body.subarray(usage.start, usage.end)));
  if (error !== undefined && body[error.start] !== LETTER_N) throw billed(providerError(undefined, faultOf(parseJsonObject(body, 'an answer'))), counted);
  if (data === undefined) throw billed(malformed('an images answer without data'), counted);
  const found = readBilled(counted, () => countImages(body, data.start, data.end));
  const meters: Meters = counted ?? { inputTokens: 0, outputTokens: 0 };
  meters.images = found.count;
  const told = (span: { start: number; end: number } | undefined): unknown => span && tryParseJson(body.subarray(span.start, span.end));
  const imageSize = dimensions(told(size)) ?? dimensions(call.json['size']) ?? found.size;
  if (imageSize !== undefined) meters.imageSize = imageSize;
  const imageQuality = [told(quality), call.json['quality']].find((value) => typeof value === 'string' && value !== 'auto');
  if (typeof imageQuality === 'string') meters.imageQuality = imageQuality.slice(0, 32);
  const edits = new Edits();
  if (created === undefined) edits.replace(body.indexOf('{') + 1, body.indexOf('{') + 1, Buffer.from(`"created":${unixNow()},`));
  return { kind: 'json', body: edits.apply(body), meters, outputBytes: 0 };
}

function dimensions(value: unknown): string | undefined {
  return typeof value === 'string' && /^\d{1,5}x\d{1,5}$/.test(value) ? value : undefined;
}

/** Images in the list, and the first one's size where its bytes are there. */
function countImages(buf: Buffer, start: number, end: number): { count: number; size: string | undefined } {
  let count = 0;
  let size: string | undefined;
  const member = (_key: number, _keyStart: number, valueStart: number): number => {
    if (count === 1 && buf[valueStart] === QUOTE) size = imageSizeOf(buf.toString('latin1', valueStart + 1, Math.min(end, valueStart + 256 * 1024)));
    return skipValue(buf, valueStart, end);
  };
  const element = (_index: number, at: number): number => {
    count++;
    return walkObject(buf, at, end, IMAGE, { member });
  };
  if (walkArray(buf, start, end, { element }) !== end) throw malformed('the images are not a list of objects');
  return { count, size };
}

function malformed(internal: string): ProviderError {
  return new ProviderError('malformed', { internal });
}
