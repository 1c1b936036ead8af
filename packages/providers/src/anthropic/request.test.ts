import type { MessageCreateParamsBase } from '@anthropic-ai/sdk/resources/messages';
import { describe, expect, it } from '@jest/globals';
import { readMessagesRequest, toMessages, type MessagesBody, type MessagesOptions } from './request.js';

const OPTIONS: MessagesOptions = { model: 'claude-sonnet-4-5-20250929', maxOutputTokens: 0, defaultMaxTokens: 1024, urlSources: true, nativeApi: true };
const ASK = [{ role: 'user', content: 'Hello' }];
const TOOL = {
  type: 'function',
  function: { name: 'f', description: 'does f', parameters: { type: 'object', properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: {} } }, strict: true },
};

function translate(body: Record<string, unknown>, options: Partial<MessagesOptions> = {}, ceiling?: number): MessagesBody {
  const merged = { ...OPTIONS, ...options };
  const translated = toMessages(readMessagesRequest({ model: 'm', messages: ASK, ...body }, merged.nativeApi, ceiling), merged);
  // The SDK's own type is the judge of the shape.
  return { model: 'm', ...translated } satisfies MessageCreateParamsBase as unknown as MessagesBody;
}

function failure(body: Record<string, unknown>, options: Partial<MessagesOptions> = {}): unknown {
  try {
    translate(body, options);
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}

describe('the Messages body', () => {
  it('always has max_tokens: asked, else the catalog, else the default, under the ceiling of the gateway', () => {
    expect(translate({ max_completion_tokens: 7 }).max_tokens).toBe(7);
    expect(translate({}, { maxOutputTokens: 8192 }).max_tokens).toBe(8192);
    expect(translate({}).max_tokens).toBe(1024);
    expect(translate({ max_tokens: 100 }, {}, 30).max_tokens).toBe(30);
  });

  it('groups the results of parallel calls in one user turn, first, with empty ones kept', () => {
    const call = (id: string): object => ({ id, type: 'function', function: { name: 'f', arguments: '' } });
    const { messages } = translate({
      messages: [
        ...ASK,
        { role: 'assistant', content: null, tool_calls: [call('a'), call('b')] },
        { role: 'tool', tool_call_id: 'a', content: 'one' },
        { role: 'tool', tool_call_id: 'b', content: '' },
        { role: 'user', content: 'go on' },
      ],
    });
    expect(messages[1]).toEqual({
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 'a', name: 'f', input: {} },
        { type: 'tool_use', id: 'b', name: 'f', input: {} },
      ],
    });
    expect(messages[2]).toEqual({
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'one' }] },
        { type: 'tool_result', tool_use_id: 'b' },
        { type: 'text', text: 'go on' },
      ],
    });
  });

  it('makes the ids of calls that another provider made plain, on both sides', () => {
    const id = 'functions.f:0';
    const { messages } = translate({
      messages: [
        ...ASK,
        { role: 'assistant', tool_calls: [{ id, type: 'function', function: { name: 'f' } }] },
        { role: 'tool', tool_call_id: id, content: '1' },
      ],
    });
    expect(messages[1]!.content).toMatchObject([{ id: 'functions_f_0' }]);
    expect(messages[2]!.content).toMatchObject([{ tool_use_id: 'functions_f_0' }]);
  });

  it('keeps every keyword of a tool schema and gives a tool without one an empty object', () => {
    expect(translate({ tools: [TOOL] }).tools).toEqual([{ name: 'f', description: 'does f', input_schema: TOOL.function.parameters, strict: true }]);
    expect(translate({ tools: [{ type: 'function', function: { name: 'g' } }] }).tools).toEqual([
      { name: 'g', input_schema: { type: 'object', properties: {} } },
    ]);
  });

  it.each([
    [{ tool_choice: 'auto' }, { type: 'auto' }],
    [{ tool_choice: 'none' }, { type: 'none' }],
    [{ tool_choice: 'required' }, { type: 'any' }],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, { type: 'tool', name: 'f' }],
    [{ parallel_tool_calls: false }, { type: 'auto', disable_parallel_tool_use: true }],
    [
      { tool_choice: 'required', parallel_tool_calls: false },
      { type: 'any', disable_parallel_tool_use: true },
    ],
    [{ parallel_tool_calls: true }, undefined],
  ])('says %j as %j', (body, expected) => {
    expect(translate({ tools: [TOOL], ...body }).tool_choice).toEqual(expected);
  });

  it('sends images and documents as data or by https address', () => {
    const content = [
      { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'high' } },
      { type: 'image_url', image_url: { url: 'data:image/jpg;base64,AAAA' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' } },
    ];
    expect(translate({ messages: [{ role: 'user', content }] }).messages[0]!.content).toEqual([
      { type: 'image', source: { type: 'url', url: 'https://example.org/a.png' } },
      { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'AAAA' } },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' }, title: 'a.pdf' },
    ]);
    const path = 'messages[0].content[0].image_url.url';
    expect(failure({ messages: [{ role: 'user', content }] }, { urlSources: false })).toMatchObject({ kind: 'unsupported_parameter', param: path });
    expect(failure({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/tiff;base64,AAAA' } }] }] })).toMatchObject({
      param: path,
    });
  });

  it('passes cache marks on from parts, messages, tools and the request', () => {
    const cache_control = { type: 'ephemeral', ttl: '1h' };
    const body = translate({
      cache_control,
      tools: [{ ...TOOL, cache_control }],
      messages: [
        { role: 'system', content: [{ type: 'text', text: 's', cache_control }] },
        { role: 'user', content: 'whole message', cache_control },
      ],
    });
    expect(body.cache_control).toEqual(cache_control);
    expect(body.tools![0]).toMatchObject({ cache_control });
    expect(body.system).toEqual([{ type: 'text', text: 's', cache_control }]);
    expect(body.messages[0]!.content).toEqual([{ type: 'text', text: 'whole message', cache_control }]);
  });

  it('replays signed thinking unchanged before text and calls, and refuses it without its signature', () => {
    const thinking_blocks = [
      { type: 'thinking', thinking: 'hm', signature: 'sig' },
      { type: 'redacted_thinking', data: 'xyz' },
    ];
    const turn = { role: 'assistant', content: 'a', reasoning_content: 'hm', thinking_blocks };
    expect(translate({ messages: [...ASK, turn, ...ASK] }).messages[1]!.content).toEqual([...thinking_blocks, { type: 'text', text: 'a' }]);
    expect(failure({ messages: [...ASK, { ...turn, thinking_blocks: [{ type: 'thinking', thinking: 'hm' }] }, ...ASK] })).toMatchObject({
      kind: 'invalid_request',
    });
  });

  it('trims the prefill of a last assistant message', () => {
    expect(translate({ messages: [...ASK, { role: 'assistant', content: 'It is \n' }] }).messages[1]!.content).toEqual([{ type: 'text', text: 'It is' }]);
  });

  it('asks for a schema natively, without a tool of its own', () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    const body = translate({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } });
    expect(body.output_config).toEqual({ format: { type: 'json_schema', schema } });
    expect(body).not.toHaveProperty('tools');
    expect(failure({ response_format: { type: 'json_object' } })).toMatchObject({ kind: 'unsupported_parameter', param: 'response_format' });
  });

  it('names user and service tier as the API does, and refuses other tiers', () => {
    expect(translate({ user: 'u-1', service_tier: 'default' })).toMatchObject({ metadata: { user_id: 'u-1' }, service_tier: 'standard_only' });
    expect(failure({ service_tier: 'flex' })).toMatchObject({ param: 'service_tier' });
    expect(failure({ metadata: { a: 'b' } })).toMatchObject({ param: 'metadata' });
  });

  it('refuses a temperature that the API does not know', () => {
    expect(translate({ temperature: 1 }).temperature).toBe(1);
    expect(failure({ temperature: 1.2 })).toMatchObject({ kind: 'unsupported_parameter', param: 'temperature' });
  });
});

describe('thinking', () => {
  it('gives models up to 4.5 a budget that stays below the output limit', () => {
    expect(translate({ reasoning_effort: 'high', max_completion_tokens: 20_480 })).toMatchObject({
      max_tokens: 20_480,
      thinking: { type: 'enabled', budget_tokens: 16_384 },
    });
    expect(translate({ reasoning_effort: 'high', max_completion_tokens: 4000 })).toMatchObject({ max_tokens: 4000, thinking: { budget_tokens: 3200 } });
    expect(translate({ reasoning_effort: 'medium' })).toMatchObject({ max_tokens: 5120, thinking: { budget_tokens: 4096 } });
    expect(failure({ reasoning_effort: 'low', max_tokens: 1000 })).toMatchObject({ kind: 'invalid_request', param: 'max_tokens' });
  });

  it.each(['claude-opus-4-6', 'claude-sonnet-5', 'claude-opus-4-7', 'eu.anthropic.claude-opus-5-20260801-v1:0'])('lets %s decide by effort', (model) => {
    expect(translate({ reasoning_effort: 'xhigh' }, { model })).toMatchObject({ thinking: { type: 'adaptive' }, output_config: { effort: 'xhigh' } });
  });

  it.each([
    'claude-3-7-sonnet-20250219',
    'claude-sonnet-4-20250514',
    'claude-haiku-4-5',
    'us.anthropic.claude-opus-4-5-20251101-v1:0',
    'claude-opus-4-1@20250805',
  ])('gives %s a budget', (model) => {
    expect(translate({ reasoning_effort: 'low', max_tokens: 5000 }, { model }).thinking).toEqual({ type: 'enabled', budget_tokens: 1024 });
  });

  it('turns off with none, and passes the object of the API itself', () => {
    expect(translate({ reasoning_effort: 'none' }).thinking).toEqual({ type: 'disabled' });
    expect(translate({ thinking: { type: 'enabled', budget_tokens: 2000 }, max_tokens: 4000 }).thinking).toEqual({ type: 'enabled', budget_tokens: 2000 });
  });

  it('goes on without a budget in a tool loop whose thinking the client did not send back, which the API would refuse', () => {
    const call = { id: 'toolu_1', type: 'function', function: { name: 'get_weather', arguments: '{}' } };
    const thinking_blocks = [{ type: 'thinking', thinking: 'hm', signature: 'sig' }];
    const result = { role: 'tool', tool_call_id: 'toolu_1', content: 'sunny' };
    const forgotten = [...ASK, { role: 'assistant', content: null, tool_calls: [call] }, result];
    const kept = [...ASK, { role: 'assistant', content: null, tool_calls: [call], thinking_blocks }, result];
    const thinks = (messages: object[], model = 'claude-sonnet-4-5'): unknown =>
      translate({ messages, tools: [TOOL], reasoning_effort: 'low', max_tokens: 5000 }, { model }).thinking;
    expect(thinks(forgotten)).toBeUndefined();
    expect(thinks(kept)).toEqual({ type: 'enabled', budget_tokens: 1024 });
    // A loop that is over is history: the next question is thought about again. Later models ask for nothing back.
    expect(thinks([...forgotten, { role: 'assistant', content: 'Sunny.' }, ...ASK])).toEqual({ type: 'enabled', budget_tokens: 1024 });
    expect(thinks(forgotten, 'claude-sonnet-5')).toMatchObject({ type: 'adaptive' });
  });

  it('refuses by name what the API refuses together with it', () => {
    expect(failure({ reasoning_effort: 'low', max_tokens: 5000, temperature: 0.5 })).toMatchObject({ param: 'temperature' });
    expect(failure({ reasoning_effort: 'low', max_tokens: 5000, tools: [TOOL], tool_choice: 'required' })).toMatchObject({ param: 'tool_choice' });
    expect(failure({ reasoning_effort: 'enormous' })).toMatchObject({ kind: 'unsupported_parameter', param: 'reasoning_effort' });
  });
});
