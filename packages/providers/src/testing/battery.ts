import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Meters } from '@omg/domain';
import type { ProviderErrorKind } from '../spec/provider-error.js';
import type { ProviderRoute } from '../spec/provider.js';
import type { WireAnswer, WireRequest } from './wire-server.js';

/**
 * What a provider's folder tells the battery: how to reach a server that plays the provider, and for each case the bytes
 * that the provider is known to answer, with what must come out of them. The requests are the battery's own.
 */

export interface ExpectedToolCall {
  name: string;
  /** Parsed. */
  arguments: unknown;
  id?: string;
}

export interface ExpectedAnswer {
  content?: string | null;
  reasoning?: string;
  toolCalls?: ExpectedToolCall[];
  finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  /** Absent: the provider reported none. */
  meters?: Meters;
}

export interface ChatCase extends ExpectedAnswer {
  answer: WireAnswer;
  /** Looks at what was sent upstream; throws (expects) when it is not what the provider documents. */
  sent?(request: WireRequest): void;
}

export interface ErrorCase {
  answer: WireAnswer;
  param?: string;
  retryAfterMs?: number;
}

export const CHAT_CASES = [
  'plain',
  'stream',
  'usage-cached',
  'usage-cached-stream',
  'tools',
  'tools-stream',
  'parallel-tools',
  'parallel-tools-stream',
  'no-argument-tool',
  'no-argument-tool-stream',
  'image-input',
  'json-schema',
  'length',
  'content-filter',
] as const;
export type ChatCaseName = (typeof CHAT_CASES)[number];

export const ERROR_CASES = [
  'invalid_request',
  'context_length',
  'rate_limited',
  'auth',
  'not_found',
  'overloaded',
  'server_error',
] as const satisfies readonly ProviderErrorKind[];
export type ErrorCaseName = (typeof ERROR_CASES)[number];

export interface EmbeddingsCases {
  /** The answers to one input and to two; as functions for providers that take one input per call. */
  one: { answer: (request: WireRequest) => WireAnswer; vectors: number[][]; meters?: Meters };
  two: { answer: (request: WireRequest) => WireAnswer; vectors: number[][]; meters?: Meters };
}

export interface ImagesCases {
  one: { answer: WireAnswer; meters: Meters };
}

export interface BatteryFixtures {
  /** Settings of a route whose provider listens at this origin. */
  settings(origin: string): Record<string, string>;
  route?: Partial<ProviderRoute>;
  /** Answers what is asked beside the call itself, such as a token. */
  aside?(request: WireRequest): WireAnswer | undefined;
  /** A provider's way to fail inside a stream that has begun: the bytes that follow the first half. */
  streamError?: { tail: Buffer | string; kind: ProviderErrorKind };
  /** Bytes that break a stream for whoever reads it. */
  garbage: Buffer | string;
  chat?: Record<ChatCaseName, ChatCase>;
  /** A stream with thinking in it, for providers that spell it in a way of their own. */
  reasoningStream?: ChatCase;
  /** Blocked prompts, for providers that refuse them with a status. */
  contentFilterError?: ErrorCase;
  errors: Record<ErrorCaseName, ErrorCase>;
  embeddings?: EmbeddingsCases;
  images?: ImagesCases;
  /** What a healthy provider answers to the probe, where it is not a list of models asked for by GET. */
  probe?: WireAnswer;
}

/** Reads a recording of a provider's folder; `folder` is the caller's `import.meta.dirname`. */
export function recording(folder: string, name: string): Buffer {
  return readFileSync(join(folder, name));
}

export function jsonAnswer(body: Buffer | string | object, over: Partial<WireAnswer> = {}): WireAnswer {
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return { headers: { 'content-type': 'application/json' }, body: bytes, ...over };
}

export function sseAnswer(body: Buffer | string, over: Partial<WireAnswer> = {}): WireAnswer {
  return { headers: { 'content-type': 'text/event-stream; charset=utf-8' }, body, ...over };
}

/** Recordings keep one JSON object per line; this puts them on the wire as server-sent events. */
export function sseOf(lines: Buffer | string, done = true): string {
  const objects = lines.toString().trim().split('\n');
  return [...objects, ...(done ? ['[DONE]'] : [])].map((line) => `data: ${line}\n\n`).join('');
}

const WEATHER = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
};
const CLOCK = { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {} } } };
/** A red dot. */
export const TINY_PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';

const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };

/** The client's request for each chat case. */
export const CHAT_REQUESTS: Readonly<Record<ChatCaseName, Record<string, unknown>>> = {
  plain: ASK,
  stream: ASK,
  'usage-cached': ASK,
  'usage-cached-stream': ASK,
  tools: { ...ASK, tools: [WEATHER] },
  'tools-stream': { ...ASK, tools: [WEATHER] },
  'parallel-tools': { ...ASK, tools: [WEATHER] },
  'parallel-tools-stream': { ...ASK, tools: [WEATHER] },
  'no-argument-tool': { ...ASK, tools: [CLOCK] },
  'no-argument-tool-stream': { ...ASK, tools: [CLOCK] },
  'image-input': {
    ...ASK,
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is it?' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${TINY_PNG}` } },
        ],
      },
    ],
  },
  'json-schema': {
    ...ASK,
    response_format: {
      type: 'json_schema',
      json_schema: {
        name: 'answer',
        strict: true,
        schema: { type: 'object', properties: { answer: { type: 'integer' } }, required: ['answer'], additionalProperties: false },
      },
    },
  },
  length: { ...ASK, max_tokens: 16 },
  'content-filter': ASK,
};
