import { describe, expect, it } from '@jest/globals';
import { GatewayError } from '@omg/contracts';
import { chatCompletions } from './chat-completions.js';

const USER = { role: 'user', content: 'Hello' };

function problemOf(body: Record<string, unknown>): unknown {
  const whole = { model: 'm', messages: [USER], ...body };
  try {
    chatCompletions.validate(whole, Buffer.from(JSON.stringify(whole)));
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return [error.code, error.param];
  }
  return 'taken';
}

describe('a chat request', () => {
  it.each([
    [{ temperature: 0, top_p: 0 }],
    [{ temperature: 2, top_p: 1, presence_penalty: -2, frequency_penalty: 2 }],
    [
      {
        temperature: null,
        max_tokens: null,
        stop: null,
        n: null,
        user: null,
        metadata: null,
        tools: null,
        tool_choice: null,
        stream_options: null,
        seed: null,
      },
    ],
    [{ stop: 'END' }],
    [{ stop: ['a', 'b', 'c', 'd'] }],
    [{ n: 128 }],
    [{ seed: 2 ** 60 }],
    [{ max_tokens: 1, max_completion_tokens: 1 }],
    [{ logprobs: true, top_logprobs: 20 }],
    [{ logit_bias: { 50256: -100, 1: 100 } }],
    [{ metadata: { a: 'b' }, user: 'u', reasoning_effort: 'xhigh', service_tier: 'flex' }],
    [{ stream: true, stream_options: { include_usage: true, include_obfuscation: false } }],
    [
      {
        tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' }, strict: true } }],
        tool_choice: 'required',
        parallel_tool_calls: false,
      },
    ],
    [{ tools: [{ type: 'custom', custom: { name: 'c' } }], tool_choice: { type: 'function', function: { name: 'f' } } }],
    [{ functions: [{ name: 'f' }] }],
    [{ response_format: { type: 'json_schema', json_schema: { name: 's', schema: {} } } }],
    [{ a_field_of_tomorrow: [1] }],
  ])('may hold %j', (body) => expect(problemOf(body)).toBe('taken'));

  it.each([
    [{ temperature: 2.1 }, 'temperature'],
    [{ temperature: '1' }, 'temperature'],
    [{ top_p: -0.1 }, 'top_p'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_completion_tokens: 1.5 }, 'max_completion_tokens'],
    [{ n: 0 }, 'n'],
    [{ n: 129 }, 'n'],
    [{ stop: [1] }, 'stop'],
    [{ stream: 'true' }, 'stream'],
    [{ stream: true, stream_options: { include_usage: 'yes' } }, 'stream_options.include_usage'],
    [{ seed: 1.5 }, 'seed'],
    [{ seed: '1' }, 'seed'],
    [{ user: 5 }, 'user'],
    [{ metadata: 'x' }, 'metadata'],
    [{ reasoning_effort: 1 }, 'reasoning_effort'],
    [{ top_logprobs: 21 }, 'top_logprobs'],
    [{ logit_bias: [1] }, 'logit_bias'],
    [{ logit_bias: { 7: 101 } }, 'logit_bias.7'],
    [{ presence_penalty: 3 }, 'presence_penalty'],
    [{ tools: {} }, 'tools'],
    [{ tools: [1] }, 'tools[0]'],
    [{ tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] }, 'tools[0].function.parameters'],
    [{ tool_choice: 'banana' }, 'tool_choice'],
    [{ tool_choice: 5 }, 'tool_choice'],
    [{ parallel_tool_calls: 'yes' }, 'parallel_tool_calls'],
    [{ response_format: 'json' }, 'response_format'],
  ])('with %j is refused by the name of its field: %s', (body, param) => expect(problemOf(body)).toEqual(['invalid_value', param]));

  it.each([
    [{ tools: [{ function: { name: 'f' } }] }, 'tools[0].type'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].function'],
    [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
    [{ functions: [{}] }, 'functions[0].name'],
    [{ tool_choice: {} }, 'tool_choice.type'],
  ])('with %j lacks %s', (body, param) => expect(problemOf(body)).toEqual(['missing_required_parameter', param]));
});

describe('a message', () => {
  const CALL = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };

  it.each([
    [{ role: 'user', content: '' }],
    [{ role: 'developer', content: [{ type: 'text', text: 'x' }] }],
    [{ role: 'assistant', content: null, tool_calls: [CALL] }],
    [{ role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f' } }] }],
    [{ role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'custom', custom: { name: 'c', input: 'x' } }] }],
    [{ role: 'assistant', content: null, refusal: 'no' }],
    [{ role: 'tool', content: 'x', tool_call_id: 'call_1' }],
    [{ role: 'user', name: 'Ada', content: [{ type: 'image_url', image_url: { url: 'https://x/y.png', detail: 'low' } }] }],
    [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } }] }],
    [{ role: 'user', content: [{ type: 'file', file: { file_data: 'data:application/pdf;base64,AA==' } }] }],
  ])('may be %j', (message) => expect(problemOf({ messages: [message] })).toBe('taken'));

  it.each([
    [null, 'invalid_value', 'messages[0]'],
    [{ content: 'x' }, 'invalid_value', 'messages[0].role'],
    [{ role: 'User', content: 'x' }, 'invalid_value', 'messages[0].role'],
    [{ role: 'user' }, 'missing_required_parameter', 'messages[0].content'],
    [{ role: 'user', content: {} }, 'invalid_value', 'messages[0].content'],
    [{ role: 'assistant', content: null }, 'missing_required_parameter', 'messages[0].content'],
    [{ role: 'assistant', tool_calls: [] }, 'missing_required_parameter', 'messages[0].content'],
    [{ role: 'assistant', content: 'x', tool_calls: {} }, 'invalid_value', 'messages[0].tool_calls'],
    [{ role: 'assistant', tool_calls: [1] }, 'invalid_value', 'messages[0].tool_calls[0]'],
    [{ role: 'assistant', tool_calls: [{ id: 'a' }] }, 'missing_required_parameter', 'messages[0].tool_calls[0].function'],
    [{ role: 'assistant', tool_calls: [{ ...CALL, id: '' }] }, 'missing_required_parameter', 'messages[0].tool_calls[0].id'],
    [{ role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: {} } }] }, 'invalid_value', 'messages[0].tool_calls[0].function.arguments'],
    [{ role: 'tool', content: 'x' }, 'missing_required_parameter', 'messages[0].tool_call_id'],
    [{ role: 'tool', content: null, tool_call_id: 'a' }, 'missing_required_parameter', 'messages[0].content'],
    [{ role: 'user', name: 5, content: 'x' }, 'invalid_value', 'messages[0].name'],
    [{ role: 'user', content: ['x'] }, 'invalid_value', 'messages[0].content[0].type'],
    [{ role: 'user', content: [{ type: 'video' }] }, 'invalid_value', 'messages[0].content[0].type'],
    [{ role: 'user', content: [{ type: 'text' }] }, 'missing_required_parameter', 'messages[0].content[0].text'],
    [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }, 'missing_required_parameter', 'messages[0].content[0].image_url.url'],
    [{ role: 'user', content: [{ type: 'input_audio' }] }, 'missing_required_parameter', 'messages[0].content[0].input_audio'],
    [{ role: 'user', content: [{ type: 'file' }] }, 'missing_required_parameter', 'messages[0].content[0].file'],
  ])('that is %j is refused: %s at %s', (message, code, param) => expect(problemOf({ messages: [message] })).toEqual([code, param]));
});

describe('what a chat request may cost', () => {
  const parsed = (body: Record<string, unknown>) => {
    const whole = { model: 'm', messages: [USER], ...body };
    const raw = Buffer.from(JSON.stringify(whole));
    return { ...chatCompletions.validate(whole, raw), bytes: raw.length };
  };
  const inputOf = (body: Record<string, unknown>) => parsed(body).inputTokensEstimate;
  const TEXT = 'x'.repeat(4000);

  it('counts all that the model reads, wherever in the request it stands', () => {
    const plain = inputOf({});
    const assistant = { role: 'assistant', content: 'x' };
    for (const body of [
      { messages: [{ ...USER, name: TEXT }] },
      { messages: [USER, { ...assistant, reasoning_content: TEXT }] },
      { messages: [USER, { ...assistant, refusal: TEXT }] },
      { messages: [USER, { role: 'assistant', content: [{ type: 'refusal', refusal: TEXT }] }] },
      { messages: [USER, { ...assistant, function_call: { name: 'f', arguments: TEXT } }] },
      { messages: [USER, { ...assistant, tool_calls: [{ id: 'a', type: 'custom', custom: { name: 'f', input: TEXT } }] }] },
      { tools: [{ type: 'function', function: { name: 'f', description: TEXT } }] },
      { response_format: { type: 'json_schema', json_schema: { name: 'f', schema: { description: TEXT } } } },
    ]) {
      expect(inputOf(body)).toBeGreaterThanOrEqual(plain + 1000);
      expect(inputOf(body)).toBeLessThan(plain + 1050);
    }
  });

  it('follows the bytes of a text, as scripts of more bytes take more tokens; whether a prompt fits is judged by its characters', () => {
    const of = (content: string) => parsed({ messages: [{ role: 'user', content }] });
    expect(of('a'.repeat(400))).toMatchObject({ inputTokensEstimate: 104, contextTokens: 104 });
    expect(of('語'.repeat(400))).toMatchObject({ inputTokensEstimate: 304, contextTokens: 104 });
  });

  it('is bounded by the bytes of the body, but for those of pictures and sounds', () => {
    const url = `data:image/png;base64,${'A'.repeat(100_000)}`;
    const picture = { role: 'user', content: [{ type: 'image_url', image_url: { url } }] };
    const schema = { type: 'json_schema', json_schema: { name: 'f', schema: { description: TEXT } } };
    const withPicture = parsed({ messages: [picture], response_format: schema });
    expect(withPicture.inputTokensMax).toBe(withPicture.bytes - url.length + 4 + 16_384);
    const file = parsed({ messages: [{ role: 'user', content: [{ type: 'file', file: { file_data: TEXT } }] }] });
    expect(file.inputTokensMax).toBe(file.bytes + 4 + 16_384);
  });

  it('takes the larger of two limits of the output, as servers differ in which one they heed', () => {
    expect(parsed({ max_tokens: 5000, max_completion_tokens: 1 }).outputTokensMax).toBe(5000);
    expect(parsed({ max_tokens: 1, max_completion_tokens: 5000 }).outputTokensMax).toBe(5000);
  });
});
