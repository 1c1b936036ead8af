import { expect } from '@jest/globals';
import type { BatteryFixtures, ChatCase } from '../../testing/battery.js';
import { jsonAnswer, recording, sseAnswer } from '../../testing/battery.js';
import type { WireAnswer } from '../../testing/wire-server.js';

/** Recorded answers of the Messages API, shortened; the ones marked are put together from recorded events. */
const file = (name: string): Buffer => recording(import.meta.dirname, name);
const parsed = (name: string): any => JSON.parse(file(name).toString());

/** Recordings keep one event per line; on the wire each has its name. */
export function eventStream(lines: string | readonly object[]): string {
  const events = typeof lines === 'string' ? lines.trim().split('\n') : lines.map((event) => JSON.stringify(event));
  return events.map((line) => `event: ${(JSON.parse(line) as { type: string }).type}\ndata: ${line}\n\n`).join('');
}

const stream = (name: string): WireAnswer => sseAnswer(eventStream(file(name).toString()));
const failure = (status: number, type: string, message: string, headers: Record<string, string> = {}): { answer: WireAnswer } => ({
  answer: jsonAnswer(
    { type: 'error', error: { type, message }, request_id: 'req_011CSHoEeqs5C35K2UUqR7Fy' },
    { status, headers: { 'content-type': 'application/json', ...headers } },
  ),
});

const usage = { input_tokens: 376, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 97 };
const city = (name: string): object => ({ location: name });
export const paris = { type: 'tool_use', id: 'toolu_01A09q90qw90lq917835lq9', name: 'get_weather', input: city('Paris') };
export const tokyo = { type: 'tool_use', id: 'toolu_01A09q90qw90lq917835lqb', name: 'get_weather', input: city('Tokyo') };

/** Put together: a text block and calls as the API sends them, with the events of the recorded tool stream. */
export function message(content: object[], over: object = {}): object {
  return { ...parsed('plain.json'), content, stop_reason: 'tool_use', usage, ...over };
}

export function toolEvents(...calls: (typeof paris)[]): object[] {
  const start = { type: 'message_start', message: { ...parsed('plain.json'), content: [], stop_reason: null, usage: { ...usage, output_tokens: 8 } } };
  const blocks = calls.flatMap((call, i) => [
    { type: 'content_block_start', index: i + 1, content_block: { ...call, input: {} } },
    { type: 'content_block_delta', index: i + 1, delta: { type: 'input_json_delta', partial_json: '' } },
    { type: 'content_block_delta', index: i + 1, delta: { type: 'input_json_delta', partial_json: '{"location": "' } },
    { type: 'ping' },
    { type: 'content_block_delta', index: i + 1, delta: { type: 'input_json_delta', partial_json: `${Object.values(call.input)[0]}"}` } },
    { type: 'content_block_stop', index: i + 1 },
  ]);
  return [
    start,
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Let me look.' } },
    { type: 'content_block_stop', index: 0 },
    ...blocks,
    { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ];
}

const cachedUsage = { input_tokens: 3, cache_creation_input_tokens: 200, cache_read_input_tokens: 1800, output_tokens: 12 };
const cachedMeters = { inputTokens: 2003, outputTokens: 12, cachedInputTokens: 1800, cacheWriteTokens: 200 };
// With characters of two and three bytes, which the battery cuts.
const cachedStream = file('stream.chunks.txt')
  .toString()
  .replace('"Hello"', '"Grüß dich ✓ Hello"')
  .replace('"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":30', JSON.stringify(cachedUsage).slice(1, -1));
const meters = { inputTokens: 376, outputTokens: 97 };
const bodyOf = (request: { body: Buffer }): any => JSON.parse(request.body.toString());
const HELLO = "Hello! I'm doing well, thank you for asking. How are you doing today? Is there anything I can help you with?";
const call = (block: typeof paris): NonNullable<ChatCase['toolCalls']>[number] => ({ id: block.id, name: block.name, arguments: block.input });

export const fixtures: BatteryFixtures = {
  settings: (origin) => ({ base_url: origin, api_key: 'sk-ant-api03-0123456789abcdef' }),
  route: { providerModel: 'claude-sonnet-4-5', maxOutputTokens: 0 },
  garbage: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,\n\n',
  streamError: {
    tail: 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
    kind: 'overloaded',
  },
  chat: {
    plain: {
      answer: jsonAnswer(file('plain.json')),
      content: 'OK',
      finishReason: 'stop',
      meters: { inputTokens: 21, outputTokens: 6 },
      sent(request) {
        expect(request.url).toBe('/v1/messages');
        expect(request.headers).toMatchObject({ 'x-api-key': 'sk-ant-api03-0123456789abcdef', 'anthropic-version': '2023-06-01' });
        expect(bodyOf(request)).toEqual({
          model: 'claude-sonnet-4-5',
          max_tokens: 1024,
          messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
          stream: false,
        });
      },
    },
    stream: { answer: stream('stream.chunks.txt'), content: HELLO, finishReason: 'stop', meters: { inputTokens: 12, outputTokens: 30 } },
    'usage-cached': { answer: jsonAnswer({ ...parsed('plain.json'), usage: cachedUsage }), content: 'OK', finishReason: 'stop', meters: cachedMeters },
    'usage-cached-stream': { answer: sseAnswer(eventStream(cachedStream)), content: `Grüß dich ✓ ${HELLO}`, finishReason: 'stop', meters: cachedMeters },
    tools: {
      answer: jsonAnswer(message([{ type: 'text', text: 'Let me look.' }, paris])),
      content: 'Let me look.',
      toolCalls: [call(paris)],
      finishReason: 'tool_calls',
      meters,
      sent(request) {
        expect(bodyOf(request).tools).toEqual([
          { name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
        ]);
      },
    },
    'tools-stream': {
      answer: sseAnswer(eventStream(toolEvents(paris))),
      content: 'Let me look.',
      toolCalls: [call(paris)],
      finishReason: 'tool_calls',
      meters,
    },
    'parallel-tools': { answer: jsonAnswer(message([paris, tokyo])), content: null, toolCalls: [call(paris), call(tokyo)], finishReason: 'tool_calls', meters },
    'parallel-tools-stream': {
      answer: sseAnswer(eventStream(toolEvents(paris, tokyo))),
      content: 'Let me look.',
      toolCalls: [call(paris), call(tokyo)],
      finishReason: 'tool_calls',
      meters,
    },
    'no-argument-tool': {
      answer: jsonAnswer(file('no-argument-tool.json')),
      content: null,
      reasoning: 'The user wants me to call checkSandboxErrors immediately.',
      toolCalls: [{ id: 'toolu_017R7ACrx7NF7sLDDtvdQ1u9', name: 'checkSandboxErrors', arguments: {} }],
      finishReason: 'tool_calls',
      meters: { inputTokens: 599, outputTokens: 59, reasoningTokens: 18 },
    },
    'no-argument-tool-stream': {
      answer: stream('no-argument-tool.chunks.txt'),
      content: "I'll update the issue list for you.",
      toolCalls: [{ id: 'toolu_01QE1WLsSVp5hy5Q3GmGTmjP', name: 'updateIssueList', arguments: {} }],
      finishReason: 'tool_calls',
      meters: { inputTokens: 565, outputTokens: 48 },
    },
    'image-input': {
      answer: jsonAnswer(file('plain.json')),
      content: 'OK',
      finishReason: 'stop',
      meters: { inputTokens: 21, outputTokens: 6 },
      sent(request) {
        expect(bodyOf(request).messages[0].content[1]).toEqual({
          type: 'image',
          source: { type: 'base64', media_type: 'image/png', data: expect.any(String) },
        });
      },
    },
    'json-schema': {
      answer: jsonAnswer(file('json-schema.json')),
      content: '{"answer":42}',
      finishReason: 'stop',
      meters: { inputTokens: 371, outputTokens: 629 },
      sent(request) {
        expect(bodyOf(request).output_config).toEqual({ format: { type: 'json_schema', schema: expect.objectContaining({ required: ['answer'] }) } });
        expect(bodyOf(request)).not.toHaveProperty('tools');
      },
    },
    length: {
      answer: jsonAnswer({ ...parsed('plain.json'), stop_reason: 'max_tokens' }),
      content: 'OK',
      finishReason: 'length',
      meters: { inputTokens: 21, outputTokens: 6 },
      sent: (request) => expect(bodyOf(request).max_tokens).toBe(16),
    },
    'content-filter': { answer: jsonAnswer(file('refusal.json')), content: null, finishReason: 'content_filter', meters: { inputTokens: 18, outputTokens: 5 } },
  },
  errors: {
    invalid_request: { answer: jsonAnswer(file('error.json'), { status: 400 }), param: 'messages' },
    context_length: failure(400, 'invalid_request_error', 'prompt is too long: 210012 tokens > 200000 maximum'),
    rate_limited: {
      ...failure(429, 'rate_limit_error', "This request would exceed your organization's rate limit", { 'retry-after': '12' }),
      retryAfterMs: 12_000,
    },
    auth: failure(401, 'authentication_error', 'invalid x-api-key'),
    not_found: failure(404, 'not_found_error', 'model: claude-sonnet-9'),
    overloaded: failure(529, 'overloaded_error', 'Overloaded'),
    server_error: failure(500, 'api_error', 'Internal server error'),
  },
};
