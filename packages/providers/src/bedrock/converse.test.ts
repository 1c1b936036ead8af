import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonReply, ProviderReply } from '../spec/provider.js';
import { jsonAnswer, recording, TINY_PNG } from '../testing/battery.js';
import { collect, makeCall, makeRoute, type Collected } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import { EVENT_STREAM } from './__fixtures__/cases.js';
import { converseFrames, exceptionFrame } from './__fixtures__/event-frames.js';
import { bedrock } from './adapter.js';

const file = (name: string): Buffer => recording(`${import.meta.dirname}/__fixtures__`, name);
const decoded = (name: string): Buffer => Buffer.from(file(name).toString(), 'base64');
const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };
const TOOL = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } };

let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(jsonAnswer(file('converse-json-schema.json'))));

function invoke(body: Record<string, unknown>, model = 'eu.amazon.nova-lite-v1:0', settings: Record<string, string> = {}): Promise<ProviderReply> {
  const keys = { aws_access_key_id: 'AKID', aws_secret_access_key: 's', region: 'eu-central-1', endpoint: wire.server.url };
  return bedrock.create(makeRoute({ ...keys, ...settings }, { providerModel: model, maxOutputTokens: 0 })).invoke(makeCall(wire.sockets, { ...ASK, ...body }));
}

async function ask(body: Record<string, unknown> = {}, model?: string): Promise<{ reply: JsonReply; choice: any; sent: any }> {
  const reply = (await invoke(body, model)) as JsonReply;
  return { reply, choice: JSON.parse(reply.body.toString()).choices[0], sent: JSON.parse(wire.server.last.body.toString()) };
}

const listen = async (body: Buffer): Promise<Collected> => {
  wire.reset({ headers: EVENT_STREAM, body });
  return collect(await invoke({ stream: true, stream_options: { include_usage: true } }));
};
const deltas = (chunks: any[], key: string): any[] =>
  chunks.flatMap((chunk) => chunk.choices.map((choice: any) => choice.delta[key])).filter((value) => value !== undefined);

describe('Converse, requests', () => {
  it('goes to the converse path of the model with what was asked', async () => {
    const { sent } = await ask({ temperature: 0, top_p: 0.5, max_tokens: 9, stop: 'END', user: 'u', metadata: { team: 'a' }, service_tier: 'flex' });
    expect(decodeURIComponent(wire.server.last.url)).toBe('/model/eu.amazon.nova-lite-v1:0/converse');
    expect(sent).toEqual({
      messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
      inferenceConfig: { maxTokens: 9, temperature: 0, topP: 0.5, stopSequences: ['END'] },
      requestMetadata: { team: 'a', user: 'u' },
      serviceTier: { type: 'flex' },
    });
  });

  it('says turns, results, calls, images, documents, cache points and thinking in its own words', async () => {
    const call = (id: string): object => ({ id, type: 'function', function: { name: 'f', arguments: '' } });
    const { sent } = await ask({
      tools: [TOOL],
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'be kind', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/png;base64,${TINY_PNG}` } },
            { type: 'file', file: { filename: 'my report (v2).final.pdf', file_data: 'data:application/pdf;base64,JVBE' } },
            { type: 'text', text: 'look' },
          ],
        },
        { role: 'assistant', content: '', tool_calls: [call('a'), call('b')], thinking_blocks: [{ type: 'thinking', thinking: 'hm', signature: 'sig' }] },
        { role: 'tool', tool_call_id: 'a', content: '1' },
        { role: 'tool', tool_call_id: 'b', content: '' },
      ],
    });
    expect(sent.system).toEqual([{ text: 'be kind' }, { cachePoint: { type: 'default', ttl: '1h' } }]);
    expect(sent.messages).toEqual([
      {
        role: 'user',
        content: [
          { image: { format: 'png', source: { bytes: TINY_PNG } } },
          { document: { format: 'pdf', name: 'my report (v2)-final', source: { bytes: 'JVBE' } } },
          { text: 'look' },
        ],
      },
      {
        role: 'assistant',
        content: [
          { reasoningContent: { reasoningText: { text: 'hm', signature: 'sig' } } },
          { toolUse: { toolUseId: 'a', name: 'f', input: {} } },
          { toolUse: { toolUseId: 'b', name: 'f', input: {} } },
        ],
      },
      { role: 'user', content: [{ toolResult: { toolUseId: 'a', content: [{ text: '1' }] } }, { toolResult: { toolUseId: 'b', content: [] } }] },
    ]);
    expect(sent.toolConfig).toEqual({ tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object', properties: {} } } } }] });
  });

  it('leaves tools out for "none", and refuses it where the history has calls', async () => {
    expect((await ask({ tools: [TOOL], tool_choice: 'none' })).sent).not.toHaveProperty('toolConfig');
    const history = [
      ...ASK.messages,
      { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f' } }] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
    ];
    await expect(ask({ tools: [TOOL], tool_choice: 'none', messages: history })).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'tool_choice' });
  });

  it('asks for the tools that the history uses, and makes foreign call ids plain', async () => {
    const id = 'functions.f:0';
    const messages = [
      ...ASK.messages,
      { role: 'assistant', tool_calls: [{ id, type: 'function', function: { name: 'f' } }] },
      { role: 'tool', tool_call_id: id, content: '1' },
    ];
    await expect(ask({ messages })).rejects.toMatchObject({ kind: 'invalid_request', param: 'tools' });
    const { sent } = await ask({ messages, tools: [TOOL] });
    expect([sent.messages[1].content[0].toolUse.toolUseId, sent.messages[2].content[0].toolResult.toolUseId]).toEqual(['functions_f_0', 'functions_f_0']);
  });

  it.each([
    [{ top_k: 4 }, 'top_k'],
    [{ seed: 4 }, 'seed'],
    [{ service_tier: 'scale' }, 'service_tier'],
    [{ reasoning_effort: 'none' }, 'reasoning_effort'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.org/a.png' } }] }] },
      'messages[0].content[0].image_url.url',
    ],
  ])('refuses %j by name before any call', async (body, param) => {
    await expect(invoke(body)).rejects.toMatchObject({ kind: 'unsupported_parameter', param });
    expect(wire.server.requests).toEqual([]);
  });

  it('asks each vendor for effort in its own place, and for a schema in one', async () => {
    expect((await ask({ reasoning_effort: 'high' }, 'us.amazon.nova-2-lite-v1:0')).sent.additionalModelRequestFields).toEqual({
      reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' },
    });
    expect((await ask({ reasoning_effort: 'low' }, 'openai.gpt-oss-120b-1:0')).sent.additionalModelRequestFields).toEqual({ reasoning_effort: 'low' });
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    const { sent } = await ask(
      { reasoning_effort: 'low', response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } },
      'qwen.qwen3-32b-v1:0',
    );
    expect(sent.outputConfig).toEqual({
      effort: 'low',
      textFormat: { type: 'json_schema', structure: { jsonSchema: { name: 'a', schema: JSON.stringify(schema) } } },
    });
  });

  it('takes the output limit of the catalog when the client names none', async () => {
    expect((await ask()).sent.inferenceConfig).toEqual({ maxTokens: 1024 });
    await invoke({}, undefined, { bedrock_default_max_tokens: '300' });
    expect(JSON.parse(wire.server.last.body.toString()).inferenceConfig).toEqual({ maxTokens: 300 });
  });
});

describe('Converse, recorded answers', () => {
  it('two calls at once', async () => {
    wire.reset(jsonAnswer(file('converse-parallel-tools.json')));
    const { choice, reply } = await ask();
    expect(choice.finish_reason).toBe('tool_calls');
    expect(choice.message.tool_calls).toEqual([
      { id: 'tooluse_hr5juciYZJwUHpRczsw13R', type: 'function', function: { name: 'get_resistor_value', arguments: '{"ref":"R1"}' } },
      { id: 'tooluse_AZHw3Ym0S07qOv5NlXj9iJ', type: 'function', function: { name: 'get_capacitor_value', arguments: '{"ref":"C1"}' } },
    ]);
    expect(reply.meters).toEqual({ inputTokens: 694, outputTokens: 110 });
  });

  it('one call alone where the client asked for no parallel ones, whole and streamed', async () => {
    const body = { tools: [TOOL], parallel_tool_calls: false };
    wire.reset(jsonAnswer(file('converse-parallel-tools.json')));
    const { choice, reply } = await ask(body);
    expect(choice.message.tool_calls.map((call: any) => call.function.name)).toEqual(['get_resistor_value']);
    expect(reply.meters).toEqual({ inputTokens: 694, outputTokens: 110 });
    const call = (contentBlockIndex: number, name: string): object[] => [
      { contentBlockStart: { contentBlockIndex, start: { toolUse: { toolUseId: `tooluse_${name}`, name } } } },
      { contentBlockDelta: { contentBlockIndex, delta: { toolUse: { input: `{"ref":"${name}"}` } } } },
      { contentBlockStop: { contentBlockIndex } },
    ];
    const events = [{ messageStart: { role: 'assistant' } }, ...call(0, 'first'), ...call(1, 'second'), { messageStop: { stopReason: 'tool_use' } }];
    wire.reset({ headers: EVENT_STREAM, body: converseFrames(events.map((event) => JSON.stringify(event)).join('\n')) });
    const { chunks, error } = await collect(await invoke({ ...body, stream: true }));
    const pieces = deltas(chunks, 'tool_calls').flat();
    expect(error).toBeUndefined();
    expect(new Set(pieces.map((piece) => piece.index))).toEqual(new Set([0]));
    expect(pieces.map((piece) => piece.function.arguments).join('')).toBe('{"ref":"first"}');
    expect(chunks.at(-1)!['choices'][0].finish_reason).toBe('tool_calls');
  });

  it('a guardrail, and reasoning without a signature', async () => {
    wire.reset(jsonAnswer(file('converse-guardrail.json')));
    expect((await ask()).choice).toMatchObject({ finish_reason: 'content_filter', message: { content: 'Sorry, the model cannot answer this question.' } });
    wire.reset(jsonAnswer(file('converse-reasoning.json')));
    const { message } = (await ask()).choice;
    expect(message).toMatchObject({ content: 'ok', reasoning_content: '[REDACTED].' });
    expect(message).not.toHaveProperty('thinking_blocks');
  });

  it('counts cache reads and writes as parts of the input, as the total does', async () => {
    const usage = { inputTokens: 2, outputTokens: 5, totalTokens: 1329, cacheReadInputTokens: 0, cacheWriteInputTokens: 1322 };
    wire.reset(jsonAnswer({ ...JSON.parse(file('converse-reasoning.json').toString()), usage }));
    expect((await ask()).reply.meters).toEqual({ inputTokens: 1324, outputTokens: 5, cacheWriteTokens: 1322 });
  });

  it.each(['malformed_model_output', 'malformed_tool_use'])('%s is a failure, not an end', async (stopReason) => {
    wire.reset(jsonAnswer({ ...JSON.parse(file('converse-reasoning.json').toString()), stopReason }));
    await expect(ask()).rejects.toMatchObject({ kind: 'malformed' });
  });
});

describe('ConverseStream, recorded frames', () => {
  it('a live stream, byte for byte', async () => {
    const { chunks, error, progress } = await listen(decoded('converse-stream.eventstream.base64.txt'));
    expect(error).toBeUndefined();
    expect(deltas(chunks, 'content').join('')).toBe('OK.');
    expect(chunks.at(-2)!['choices'][0].finish_reason).toBe('stop');
    expect(chunks.at(-1)!['usage']).toMatchObject({ prompt_tokens: 12, completion_tokens: 5 });
    expect(progress.meters).toEqual({ inputTokens: 12, outputTokens: 5 });
  });

  it('a call without arguments, with usage before the stop', async () => {
    const { chunks, error } = await listen(converseFrames(file('converse-no-argument-tool.chunks.txt').toString()));
    expect(error).toBeUndefined();
    const calls = deltas(chunks, 'tool_calls').flat();
    expect(calls.map((call) => call.index)).toEqual([0, 0]);
    expect(calls.map((call) => call.function.arguments).join('')).toBe('{}');
    expect(chunks.at(-1)!['usage']).toMatchObject({ prompt_tokens: 100, completion_tokens: 25 });
  });

  it('reasoning with its signature', async () => {
    const { chunks } = await listen(converseFrames(file('converse-reasoning.chunks.txt').toString()));
    expect(deltas(chunks, 'reasoning_content').join('')).toBe("Let me count the r's.");
    expect(deltas(chunks, 'thinking_blocks').flat()).toEqual([
      { type: 'thinking', thinking: "Let me count the r's.", signature: expect.stringMatching(/^Ep0C/) },
    ]);
    expect(deltas(chunks, 'content').join('')).toBe('There are **3** r\'s in "strawberry":');
  });

  it('all thinking blocks in one delta before the finish, since stream helpers of SDKs cannot join two lists', async () => {
    const [start, ...events] = file('converse-reasoning.chunks.txt').toString().trim().split('\n');
    const redacted = [
      { contentBlockDelta: { contentBlockIndex: 7, delta: { reasoningContent: { redactedContent: 'AAEC' } } } },
      { contentBlockStop: { contentBlockIndex: 7 } },
    ].map((event) => JSON.stringify(event));
    const { chunks } = await listen(converseFrames([start, ...redacted, ...events].join('\n')));
    expect(deltas(chunks, 'thinking_blocks')).toEqual([[{ type: 'redacted_thinking', data: 'AAEC' }, expect.objectContaining({ type: 'thinking' })]]);
    expect(chunks.at(-3)!['choices'][0].delta).toHaveProperty('thinking_blocks');
    expect(chunks.at(-2)!['choices'][0].finish_reason).toBe('stop');
  });

  it('a recorded exception after text is that error, without a fake stop', async () => {
    const head = decoded('converse-stream.eventstream.base64.txt').subarray(0, 0xb4 + 0xb3);
    const { chunks, error } = await listen(Buffer.concat([head, decoded('stream-exception.eventstream.base64.txt')]));
    expect(error).toMatchObject({ name: 'ProviderError', kind: 'server_error' });
    expect(deltas(chunks, 'content').join('')).toBe('OK');
    expect(chunks.every((chunk) => chunk['choices'].every((choice: any) => choice.finish_reason === null))).toBe(true);
  });

  it.each([
    ['throttlingException', 'rate_limited'],
    ['serviceUnavailableException', 'overloaded'],
    ['validationException', 'invalid_request'],
    ['internalServerException', 'server_error'],
  ])('%s at the very start fails the call, so that another route can take it', async (type, kind) => {
    wire.reset({ headers: EVENT_STREAM, body: exceptionFrame(type, 'x') });
    await expect(invoke({ stream: true })).rejects.toMatchObject({ name: 'ProviderError', kind });
  });

  it('a stream without its end is an error, also when it stops between frames', async () => {
    const whole = decoded('converse-stream.eventstream.base64.txt');
    for (const length of [0xb4 + 0xb3, 0xb4 + 0xb3 + 20]) {
      expect((await listen(whole.subarray(0, length))).error).toMatchObject({ name: 'ProviderError', kind: 'malformed' });
    }
  });
});
