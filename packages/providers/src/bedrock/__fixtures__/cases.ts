import { expect } from '@jest/globals';
import { fixtures as anthropic } from '../../anthropic/__fixtures__/cases.js';
import type { BatteryFixtures, ChatCase } from '../../testing/battery.js';
import { jsonAnswer } from '../../testing/battery.js';
import type { WireAnswer, WireRequest } from '../../testing/wire-server.js';
import { chunkFrame, exceptionFrame } from './event-frames.js';

/**
 * Claude over InvokeModel: Anthropic's recorded answers in Bedrock's envelope, and Bedrock's own failures. Converse has its
 * own recordings and tests beside this file's.
 */
export const EVENT_STREAM = { 'content-type': 'application/vnd.amazon.eventstream' };

const METRICS = { invocationLatency: 1204, firstByteLatency: 388 };

/** The events of an SSE recording as binary frames; the last one carries Bedrock's own counts, as on the wire. */
function inFrames(answer: WireAnswer, meters: NonNullable<ChatCase['meters']>): WireAnswer {
  const events = [...String(answer.body).matchAll(/^data: (.*)$/gm)].map((match) => match[1]!);
  const { inputTokens, outputTokens, cachedInputTokens: read = 0, cacheWriteTokens: written = 0 } = meters;
  const metrics = {
    inputTokenCount: inputTokens - read - written,
    outputTokenCount: outputTokens,
    ...METRICS,
    ...(read + written === 0 ? {} : { cacheReadInputTokenCount: read, cacheWriteInputTokenCount: written }),
  };
  const last = JSON.stringify({ ...JSON.parse(events.at(-1)!), 'amazon-bedrock-invocationMetrics': metrics });
  return { headers: EVENT_STREAM, body: Buffer.concat([...events.slice(0, -1), last].map(chunkFrame)) };
}

const cases = Object.fromEntries(
  Object.entries(anthropic.chat!).map(([name, { sent: _sent, ...each }]) => [
    name,
    name.endsWith('stream') ? { ...each, answer: inFrames(each.answer, each.meters!) } : each,
  ]),
) as NonNullable<BatteryFixtures['chat']>;

/** A third of a stream, cut between frames: each begins with its length. */
function firstFrames(answer: WireAnswer): Buffer {
  const bytes = answer.body as Buffer;
  let end = 0;
  while (end < bytes.length / 3) end += bytes.readUInt32BE(end);
  return bytes.subarray(0, end);
}

const failure = (status: number, type: string, message: string, headers: Record<string, string> = {}): { answer: WireAnswer } => ({
  answer: jsonAnswer(
    { message },
    { status, headers: { 'content-type': 'application/json', 'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/`, ...headers } },
  ),
});

const VECTORS: Readonly<Record<string, number[]>> = { 'first text': [0.0625, -0.5, 0.25], 'second text': [-0.125, 0.75, 1] };

/** Titan's answer to one text. */
function titan(request: WireRequest): WireAnswer {
  const { inputText } = JSON.parse(request.body.toString()) as { inputText: string };
  const embedding = VECTORS[inputText]!;
  return jsonAnswer({ embedding, embeddingsByType: { float: embedding }, inputTextTokenCount: inputText === 'first text' ? 3 : 4 });
}

export const TINY_PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';

export const fixtures: BatteryFixtures = {
  settings: (origin) => ({
    endpoint: origin,
    region: 'eu-central-1',
    aws_access_key_id: 'AKIDEXAMPLE000000000',
    aws_secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    bedrock_embedding_format: 'titan_text',
  }),
  route: { providerModel: 'anthropic.claude-sonnet-4-5-20250929-v1:0', maxOutputTokens: 0 },
  garbage: Buffer.from('this is not an event stream, and nothing in it has a checksum'),
  // The whole stream: what had come, then the exception.
  streamError: {
    tail: Buffer.concat([firstFrames(cases.stream.answer), exceptionFrame('throttlingException', 'Too many tokens, please wait before trying again.')]),
    kind: 'rate_limited',
  },
  chat: {
    ...cases,
    plain: {
      ...cases.plain,
      sent(request) {
        expect(decodeURIComponent(request.url)).toBe('/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke');
        expect(request.headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE000000000\/\d{8}\/eu-central-1\/bedrock\/aws4_request/);
        expect(JSON.parse(request.body.toString())).toEqual({
          anthropic_version: 'bedrock-2023-05-31',
          max_tokens: 1024,
          messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
        });
      },
    },
    stream: {
      ...cases.stream,
      sent: (request) => expect(decodeURIComponent(request.url)).toBe('/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream'),
    },
  },
  errors: {
    invalid_request: { ...failure(400, 'ValidationException', 'messages: roles must alternate'), param: 'messages' },
    context_length: failure(400, 'ValidationException', 'Input is too long for requested model.'),
    rate_limited: { answer: jsonAnswer({ __type: 'ThrottlingException', message: 'Rate exceeded' }, { status: 429 }) },
    auth: failure(403, 'UnrecognizedClientException', 'The security token included in the request is invalid.'),
    not_found: { answer: jsonAnswer({ message: 'The provided model identifier is invalid.' }, { status: 400 }) },
    overloaded: failure(503, 'ServiceUnavailableException', 'Bedrock is unable to process your request.'),
    server_error: failure(424, 'ModelErrorException', 'The system encountered an unexpected error during processing.'),
  },
  embeddings: {
    one: { answer: titan, vectors: [VECTORS['first text']!], meters: { inputTokens: 3, outputTokens: 0 } },
    two: { answer: titan, vectors: [VECTORS['first text']!, VECTORS['second text']!], meters: { inputTokens: 7, outputTokens: 0 } },
  },
  images: {
    one: {
      answer: jsonAnswer({ images: [TINY_PNG], error: null }),
      meters: { inputTokens: 0, outputTokens: 0, images: 1, imageSize: '1x1', imageQuality: 'standard' },
    },
  },
};
