import { describe, expect, it } from '@jest/globals';
import { readChatRequest, type ChatRequest, type ChatSupport } from './chat-request.js';

const NOTHING: ChatSupport = { image: false, file: false, audio: false, cacheControl: false, fields: new Set() };
const MUCH: ChatSupport = {
  image: true,
  file: true,
  audio: true,
  cacheControl: true,
  fields: new Set(['json_schema', 'seed', 'n', 'logprobs', 'user', 'top_k']),
  extensions: new Set(['thinking']),
};

const ASK = [{ role: 'user', content: 'Hello' }];
const read = (body: Record<string, unknown>, support = NOTHING, ceiling?: number): ChatRequest =>
  readChatRequest({ model: 'm', messages: ASK, ...body }, support, ceiling);
const readMessages = (messages: unknown[], support = MUCH): ChatRequest => readChatRequest({ model: 'm', messages }, support);

function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}

describe('fields of a chat request', () => {
  it.each([
    ['n', 2],
    ['logprobs', true],
    ['top_logprobs', 3],
    ['logit_bias', { 50256: -100 }],
    ['seed', 7],
    ['presence_penalty', 0.5],
    ['frequency_penalty', -1],
    ['prediction', { type: 'content', content: 'x' }],
    ['audio', { voice: 'alloy', format: 'mp3' }],
    ['modalities', ['text', 'audio']],
    ['store', true],
    ['metadata', { a: 'b' }],
    ['user', 'u-1'],
    ['safety_identifier', 'u-1'],
    ['service_tier', 'flex'],
    ['reasoning_effort', 'low'],
    ['verbosity', 'low'],
    ['web_search_options', {}],
    ['functions', []],
    ['function_call', 'auto'],
    ['prompt_cache_key', 'k'],
    ['top_k', 5],
    ['a_field_of_next_year', 1],
    ['response_format', { type: 'json_object' }],
    ['response_format', { type: 'json_schema', json_schema: { name: 'a', schema: {} } }],
  ])('refuses %s by name where it is not served', (field, value) => {
    expect(failure(() => read({ [field]: value }))).toMatchObject({ name: 'ProviderError', kind: 'unsupported_parameter', param: field });
  });

  it('accepts values that ask for what happens anyway, and null', () => {
    const neutral = {
      n: 1,
      logprobs: false,
      presence_penalty: 0,
      frequency_penalty: 0,
      logit_bias: {},
      store: false,
      service_tier: 'auto',
      modalities: ['text'],
      metadata: {},
    };
    expect(() =>
      read({ ...neutral, seed: null, response_format: { type: 'text' }, parallel_tool_calls: false, stream_options: { include_usage: true } }),
    ).not.toThrow();
  });

  it('keeps zero apart from absent', () => {
    expect(read({ temperature: 0, top_p: 0 })).toMatchObject({ temperature: 0, topP: 0 });
    expect(read({}).temperature).toBeUndefined();
  });

  it('takes the lower of what the client asked and the ceiling of the gateway', () => {
    expect(read({ max_completion_tokens: 50, max_tokens: 10 }).maxTokens).toBe(50);
    expect(read({ max_tokens: 100 }, NOTHING, 40).maxTokens).toBe(40);
    expect(read({}, NOTHING, 40).maxTokens).toBe(40);
    expect(read({}).maxTokens).toBeUndefined();
  });

  it.each([
    ['max_tokens', 0],
    ['max_tokens', 1.5],
    ['temperature', 'warm'],
    ['stop', ['']],
    ['tools', {}],
    ['messages', []],
  ])('tells a wrong %s as an invalid request', (field, value) => {
    expect(failure(() => read({ [field]: value }))).toMatchObject({ kind: 'invalid_request', param: field });
  });

  it('knows tools of its own kind only, and refuses to force what is not there', () => {
    const tool = { type: 'function', function: { name: 'f' } };
    expect(read({ tools: [tool], tool_choice: { type: 'function', function: { name: 'f' } } }).toolChoice).toEqual({ name: 'f' });
    expect(failure(() => read({ tools: [tool, { type: 'custom', custom: { name: 'g' } }] }))).toMatchObject({ param: 'tools[1].type' });
    expect(failure(() => read({ tools: [tool], tool_choice: { type: 'allowed_tools' } }))).toMatchObject({
      kind: 'unsupported_parameter',
      param: 'tool_choice',
    });
    expect(failure(() => read({ tools: [tool], tool_choice: { type: 'function', function: { name: 'g' } } }))).toMatchObject({
      param: 'tool_choice.function.name',
    });
    expect(failure(() => read({ tool_choice: 'required' }))).toMatchObject({ kind: 'invalid_request', param: 'tool_choice' });
    expect(failure(() => read({ tools: [tool], parallel_tool_calls: false }))).toMatchObject({ param: 'parallel_tool_calls' });
  });

  it('passes the own extensions of a provider, and only those', () => {
    expect(read({ thinking: { type: 'enabled' } }, MUCH).extensions).toEqual({ thinking: { type: 'enabled' } });
    expect(failure(() => read({ thinking: {} }))).toMatchObject({ param: 'thinking' });
  });
});

describe('messages of a chat request', () => {
  const call = (id: string, args: unknown = '{}'): object => ({ id, type: 'function', function: { name: `f_${id}`, arguments: args } });

  it('groups all results of a turn in one user turn, results before text', () => {
    const { turns } = readMessages([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: null, tool_calls: [call('a'), call('b')] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
      { role: 'tool', tool_call_id: 'b', content: '2' },
      { role: 'user', content: 'and?' },
    ]);
    expect(turns.map((turn) => turn.role)).toEqual(['user', 'assistant', 'user']);
    expect(turns[2]).toMatchObject({ results: [{ toolCallId: 'a' }, { toolCallId: 'b' }], parts: [{ text: 'and?' }] });
  });

  it('puts leading system and developer text apart, and keeps later ones in their place', () => {
    const { system, turns } = readMessages([
      { role: 'system', content: 'one' },
      { role: 'developer', content: [{ type: 'text', text: 'two' }] },
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'hi' },
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'go on' },
    ]);
    expect(system.map((part) => part.text)).toEqual(['one', 'two']);
    expect(turns.at(-1)).toMatchObject({ role: 'user', parts: [{ text: '<system>\nbe brief\n</system>' }, { text: 'go on' }] });
  });

  it('drops empty and blank text and never invents any', () => {
    const { turns } = readMessages([
      {
        role: 'user',
        content: [
          { type: 'text', text: ' ' },
          { type: 'text', text: 'x' },
        ],
      },
      { role: 'assistant', content: '', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: '' },
      { role: 'assistant', content: '' },
    ]);
    expect(turns).toHaveLength(3);
    expect(turns[0]).toMatchObject({ parts: [{ text: 'x' }] });
    expect(turns[1]).toMatchObject({ parts: [], toolCalls: [{ id: 'a' }] });
    expect(turns[2]).toMatchObject({ results: [{ parts: [] }] });
    expect(failure(() => readMessages([{ role: 'user', content: ' ' }]))).toMatchObject({ kind: 'invalid_request', param: 'messages[0].content' });
  });

  it.each([undefined, null, '', '  ', '{}'])('reads the arguments %j of a call as an empty object', (args) => {
    const { turns } = readMessages([...ASK, { role: 'assistant', tool_calls: [call('a', args)] }]);
    expect(turns[1]).toMatchObject({ toolCalls: [{ input: {} }] });
  });

  it.each(['{"a":', '[1]', '7', 'null'])('refuses the arguments %s of a call by their place', (args) => {
    expect(failure(() => readMessages([...ASK, { role: 'assistant', tool_calls: [call('a', args)] }]))).toMatchObject({
      kind: 'invalid_request',
      param: 'messages[1].tool_calls[0].function.arguments',
    });
  });

  it('tells by its place what a provider cannot read', () => {
    const image = { type: 'image_url', image_url: { url: 'https://example.org/a.png' } };
    const refused = (content: object, over: object = {}): unknown => failure(() => readMessages([{ role: 'user', content: [content], ...over }], NOTHING));
    expect(refused(image)).toMatchObject({ kind: 'unsupported_parameter', param: 'messages[0].content[0].type' });
    expect(refused({ type: 'input_audio', input_audio: { data: '', format: 'wav' } })).toMatchObject({ param: 'messages[0].content[0].type' });
    expect(refused({ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } })).toMatchObject({ param: 'messages[0].content[0].cache_control' });
    expect(refused({ type: 'text', text: 'x' }, { name: 'ann<b' })).toMatchObject({ kind: 'invalid_request', param: 'messages[0].name' });
    expect(failure(() => readMessages([{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }]))).toMatchObject({
      param: 'messages[0].content[0].file.file_id',
    });
    expect(failure(() => readMessages([{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'ftp://x' } }] }]))).toMatchObject({
      kind: 'invalid_request',
      param: 'messages[0].content[0].image_url.url',
    });
    expect(failure(() => readMessages([{ role: 'function', content: 'x' }]))).toMatchObject({ kind: 'invalid_request', param: 'messages[0].role' });
  });

  it('tells participants of one role apart by their names, and leaves an assistant alone who is the only one', () => {
    const text = (messages: object[]) => readMessages(messages).turns.map(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : part.type)));
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const [ann, bob] = [
      { role: 'user', name: 'ann', content: 'Hi' },
      { role: 'user', name: 'bob', content: [image] },
    ];
    expect(text([ann, bob])).toEqual([['<name>ann</name>\nHi', '<name>bob</name>\n', 'image']]);
    expect(readMessages([{ role: 'system', name: 'example_user', content: 'S' }, ann]).system).toMatchObject([{ text: '<name>example_user</name>\nS' }]);
    const agent = (name: string | undefined, content: string) => ({ role: 'assistant', name, content });
    const ask = { role: 'user', content: 'Go on' };
    expect(text([ask, agent('writer', 'A'), ask, agent('writer', 'B'), ask])).toEqual([['Go on'], ['A'], ['Go on'], ['B'], ['Go on']]);
    expect(text([ask, agent('writer', 'A'), ask, agent('critic', 'B'), ask])).toEqual([
      ['Go on'],
      ['<name>writer</name>\nA'],
      ['Go on'],
      ['<name>critic</name>\nB'],
      ['Go on'],
    ]);
    expect(text([ask, agent('writer', 'A'), ask, agent(undefined, 'B'), ask])[3]).toEqual(['B']);
  });

  it('reads data URLs without walking through their data', () => {
    const data = 'A'.repeat(4_000_000);
    const { turns } = readMessages([{ role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/PNG;base64,${data}` } }] }]);
    expect(turns[0]).toMatchObject({ parts: [{ type: 'image', source: { kind: 'data', mediaType: 'image/png' } }] });
  });
});
