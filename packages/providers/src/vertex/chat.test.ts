import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventStream as anthropicEvents } from '../anthropic/__fixtures__/cases.js';
import type { JsonReply, ProviderAdapter } from '../spec/provider.js';
import { jsonAnswer, recording, sseAnswer } from '../testing/battery.js';
import { collect, makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import { eventStream } from './__fixtures__/cases.js';
import { vertex } from './adapter.js';

const file = (name: string): Buffer => recording(`${import.meta.dirname}/__fixtures__`, name);
const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };
const TOOL = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } };
const KEY = { vertex_api_key: 'AIzaSyD-key' };

let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(jsonAnswer(file('plain.json'))));

const create = (settings: Record<string, string>, model = 'gemini-2.5-flash'): ProviderAdapter =>
  vertex.create(makeRoute(settings, { providerModel: model, maxOutputTokens: 0 }));
const invoke = async (body: Record<string, unknown>, model?: string, settings: Record<string, string> = {}): Promise<JsonReply> =>
  (await create({ gcp_project_id: 'p', ...KEY, ...settings }, model).invoke(makeCall(wire.transport, { model: 'my-alias', ...body }))) as JsonReply;
const ask = async (body: Record<string, unknown> = {}, model?: string): Promise<any> => {
  await invoke({ ...ASK, ...body }, model);
  return wire.bodies().at(-1);
};
const parsed = (reply: JsonReply): any => JSON.parse(reply.body.toString());

describe('generateContent, requests', () => {
  it('says system text, history, results and configuration in its own words', async () => {
    const sent = await ask({
      messages: [
        { role: 'system', content: 'be kind' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'https://example.org/a.webp?x=1' } },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
          ],
        },
        {
          role: 'assistant',
          content: 'calling',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'f', arguments: '' }, extra_content: { google: { thought_signature: 'sig' } } },
            { id: 'b', type: 'function', function: { name: 'g', arguments: '{"x":1}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: '{"temp":20}' },
        { role: 'tool', tool_call_id: 'b', content: 'plain' },
      ],
      tools: [TOOL],
      temperature: 0,
      top_p: 0.5,
      top_k: 3,
      max_tokens: 9,
      stop: ['END'],
      seed: 0,
      presence_penalty: 0.5,
      frequency_penalty: 0,
      n: 2,
      logprobs: true,
      top_logprobs: 4,
      metadata: { team: 'a' }, // prettier-ignore
    });
    expect(sent.systemInstruction).toEqual({ parts: [{ text: 'be kind' }] });
    expect(sent.contents).toEqual([
      {
        role: 'user',
        parts: [
          { text: 'look' },
          { fileData: { fileUri: 'https://example.org/a.webp?x=1', mimeType: 'image/webp' } },
          { inlineData: { mimeType: 'audio/wav', data: 'AAAA' } },
        ],
      },
      {
        role: 'model',
        parts: [{ text: 'calling' }, { functionCall: { name: 'f', args: {} }, thoughtSignature: 'sig' }, { functionCall: { name: 'g', args: { x: 1 } } }],
      },
      {
        role: 'user',
        parts: [{ functionResponse: { name: 'f', response: { temp: 20 } } }, { functionResponse: { name: 'g', response: { output: 'plain' } } }],
      },
    ]);
    expect(sent.generationConfig).toEqual({
      temperature: 0,
      topP: 0.5,
      topK: 3,
      maxOutputTokens: 9,
      stopSequences: ['END'],
      candidateCount: 2,
      seed: 0,
      presencePenalty: 0.5,
      frequencyPenalty: 0,
      responseLogprobs: true,
      logprobs: 4, // prettier-ignore
    });
    expect(sent.labels).toEqual({ team: 'a' });
  });

  it('stands in for the signature of a call that Gemini 3 did not make, on the first of a turn only', async () => {
    const call = (id: string): object => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
    const messages = [
      ...ASK.messages,
      { role: 'assistant', tool_calls: [call('a'), call('b')] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
      { role: 'tool', tool_call_id: 'b', content: '2' },
    ];
    const signatures = (sent: any): unknown[] => sent.contents[1].parts.map((part: any) => part.thoughtSignature);
    expect(signatures(await ask({ messages }, 'gemini-3-pro-preview'))).toEqual(['skip_thought_signature_validator', undefined]);
    expect(signatures(await ask({ messages }))).toEqual([undefined, undefined]);
  });

  it.each([
    [{ tool_choice: 'auto' }, { mode: 'AUTO' }],
    [{ tool_choice: 'none' }, { mode: 'NONE' }],
    [{ tool_choice: 'required' }, { mode: 'ANY' }],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, { mode: 'ANY', allowedFunctionNames: ['f'] }],
    [{ tools: [{ ...TOOL, function: { ...TOOL.function, strict: true } }] }, { mode: 'VALIDATED' }],
  ])('says %j as %j', async (body, functionCallingConfig) => {
    expect((await ask({ tools: [TOOL], ...body })).toolConfig).toEqual({ functionCallingConfig });
  });

  it('asks for thinking by budget or by level, and for its text', async () => {
    const config = async (effort: string, model?: string): Promise<unknown> => (await ask({ reasoning_effort: effort }, model)).generationConfig.thinkingConfig;
    expect(await config('medium')).toEqual({ thinkingBudget: 8192, includeThoughts: true });
    expect(await config('none')).toEqual({ thinkingBudget: 0, includeThoughts: false });
    expect(await config('low', 'gemini-3-flash-preview')).toEqual({ thinkingLevel: 'low', includeThoughts: true });
    await expect(ask({ reasoning_effort: 'none' }, 'gemini-3-flash-preview')).rejects.toMatchObject({
      kind: 'unsupported_parameter',
      param: 'reasoning_effort',
    });
  });

  it.each([
    [{ user: 'u' }, 'user'],
    [{ logit_bias: { 1: 1 } }, 'logit_bias'],
    [{ service_tier: 'flex' }, 'service_tier'],
    [{ messages: [{ role: 'user', content: 'x', cache_control: { type: 'ephemeral' } }] }, 'messages[0].cache_control'],
  ])('refuses %j by name', async (body, param) => {
    await expect(ask(body)).rejects.toMatchObject({ kind: 'unsupported_parameter', param });
    expect(wire.server.requests).toEqual([]);
  });
});

describe('generateContent, answers', () => {
  const candidate = (text: string, over: object = {}): object => ({ content: { parts: [{ text }], role: 'model' }, finishReason: 'STOP', ...over });

  it('gives signatures back with the calls, and ids where there are none', async () => {
    wire.answer = () => jsonAnswer(file('tools.chunks.txt').toString().split('\n')[0]!);
    const [call] = parsed(await invoke(ASK)).choices[0].message.tool_calls;
    expect(call).toMatchObject({ id: expect.stringMatching(/^call_/), extra_content: { google: { thought_signature: expect.stringMatching(/^EpEg/) } } });
  });

  it('gives one call alone where the client asked for no parallel ones, whole and streamed', async () => {
    const body = { ...ASK, tools: [TOOL], parallel_tool_calls: false };
    const parts = ['first', 'second'].map((name) => ({ functionCall: { name, args: { name } } }));
    const answer = { candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP' }] };
    wire.answer = () => jsonAnswer(answer);
    expect(parsed(await invoke(body)).choices[0].message.tool_calls.map((call: any) => call.function.name)).toEqual(['first']);
    wire.answer = () => sseAnswer(eventStream([answer]));
    const { chunks, error } = await collect(await create(KEY).invoke(makeCall(wire.transport, { ...body, stream: true })));
    const pieces = chunks.flatMap((chunk) => chunk['choices'][0]?.delta.tool_calls ?? []);
    expect(error).toBeUndefined();
    expect(pieces.map((piece: any) => [piece.index, piece.function.arguments])).toEqual([
      [0, ''],
      [0, '{"name":"first"}'],
    ]);
    expect(chunks.at(-1)!['choices'][0].finish_reason).toBe('tool_calls');
  });

  it('accepts an answer without a finish reason, as recorded', async () => {
    wire.answer = () => jsonAnswer(file('no-finish-reason.json'));
    expect(parsed(await invoke(ASK)).choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Hello there! How can I help you today?\n' } });
  });

  it('keeps several choices apart, whole and streamed, and counts them once', async () => {
    const usageMetadata = { promptTokenCount: 5, candidatesTokenCount: 8, totalTokenCount: 13 };
    wire.answer = () => jsonAnswer({ candidates: [candidate('b', { index: 1 }), candidate('a', { index: 0, finishReason: 'MAX_TOKENS' })], usageMetadata });
    expect(parsed(await invoke({ ...ASK, n: 2 })).choices.map((choice: any) => [choice.index, choice.message.content, choice.finish_reason])).toEqual([
      [0, 'a', 'length'],
      [1, 'b', 'stop'],
    ]);
    const open = { finishReason: undefined };
    wire.answer = () =>
      sseAnswer(
        eventStream([
          { candidates: [candidate('b', { index: 1, ...open })], responseId: 'r' },
          { candidates: [candidate('a', { index: 0, ...open })], responseId: 'r' },
          { candidates: [candidate('B', { index: 1 }), candidate('A', { index: 0 })], usageMetadata, responseId: 'r' },
        ]),
      );
    const { chunks, error, progress } = await collect(await create({ ...KEY }).invoke(makeCall(wire.transport, { ...ASK, n: 2, stream: true })));
    const text = (index: number): string =>
      chunks
        .flatMap((chunk) => chunk['choices'])
        .filter((choice: any) => choice.index === index)
        .map((choice: any) => choice.delta.content ?? '')
        .join('');
    expect([error, text(0), text(1)]).toEqual([undefined, 'aA', 'bB']);
    expect(new Set(chunks.map((chunk) => chunk['id']))).toEqual(new Set(['chatcmpl-r']));
    expect(progress.meters).toEqual({ inputTokens: 5, outputTokens: 8 });
  });

  it('translates log probabilities', async () => {
    const chosen = { token: 'é', tokenId: 7, logProbability: -0.5 };
    const logprobsResult = { chosenCandidates: [chosen], topCandidates: [{ candidates: [chosen, { token: 'e', logProbability: -2 }] }] };
    wire.answer = () => jsonAnswer({ candidates: [candidate('é', { logprobsResult })] });
    expect(parsed(await invoke({ ...ASK, logprobs: true, top_logprobs: 2 })).choices[0].logprobs).toEqual({
      content: [
        {
          token: 'é',
          logprob: -0.5,
          bytes: [195, 169],
          top_logprobs: [
            { token: 'é', logprob: -0.5, bytes: [195, 169] },
            { token: 'e', logprob: -2, bytes: [101] },
          ],
        },
      ],
      refusal: null,
    });
  });

  it.each([
    ['SAFETY', 'content_filter'],
    ['RECITATION', 'content_filter'],
    ['SPII', 'content_filter'],
    ['LANGUAGE', 'content_filter'],
    ['MAX_TOKENS', 'length'],
    ['OTHER', 'stop'],
    ['A_WORD_OF_NEXT_YEAR', 'stop'],
  ])('%s is told as %s, never by its raw word', async (finishReason, expected) => {
    wire.answer = () => jsonAnswer({ candidates: [candidate('x', { finishReason })] });
    expect(parsed(await invoke(ASK)).choices[0].finish_reason).toBe(expected);
  });

  it.each(['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS'])('%s is a failure, whole and streamed', async (finishReason) => {
    wire.answer = () => jsonAnswer({ candidates: [candidate('', { finishReason })] });
    await expect(invoke(ASK)).rejects.toMatchObject({ kind: 'malformed' });
    wire.answer = () => sseAnswer(eventStream([{ candidates: [candidate('', { finishReason })] }]));
    expect((await collect(await create(KEY).invoke(makeCall(wire.transport, { ...ASK, stream: true })))).error).toMatchObject({ kind: 'malformed' });
  });

  it('tells a blocked prompt inside a stream as content_filter', async () => {
    wire.answer = () => sseAnswer(eventStream([JSON.parse(file('blocked.json').toString()) as object]));
    const { error, chunks } = await collect(await create(KEY).invoke(makeCall(wire.transport, { ...ASK, stream: true })));
    expect(error).toMatchObject({ kind: 'content_filter' });
    expect(chunks).toEqual([]);
  });

  it('joins streamed arguments in their places', async () => {
    const call = (functionCall: object): object => ({ candidates: [{ content: { parts: [{ functionCall }] } }] });
    const piece = (jsonPath: string, value: object): object => call({ partialArgs: [{ jsonPath, ...value }], willContinue: true });
    wire.answer = () =>
      sseAnswer(
        eventStream([
          call({ name: 'cook', willContinue: true }),
          piece('$.recipe.items[0].name', { stringValue: 'Las', willContinue: true }),
          piece('$.recipe.items[0].name', { stringValue: 'agna' }),
          piece('$.recipe.items[1].amount', { numberValue: 2.5 }),
          piece("$['odd name']", { boolValue: false }),
          piece('$.none', { nullValue: null }),
          call({}),
          { candidates: [{ content: { parts: [{ text: '' }] }, finishReason: 'STOP' }] },
        ]),
      );
    const { chunks, error } = await collect(await create(KEY).invoke(makeCall(wire.transport, { ...ASK, stream: true })));
    expect(error).toBeUndefined();
    const args = chunks
      .flatMap((chunk) => chunk['choices'][0]?.delta.tool_calls ?? [])
      .map((part: any) => part.function.arguments)
      .join('');
    expect(JSON.parse(args)).toEqual({ recipe: { items: [{ name: 'Lasagna' }, { amount: 2.5 }] }, 'odd name': false, none: null });
  });

  it.each(['$.__proto__.polluted', '$.a[99999999]', 'no path at all!'])('refuses the place %s of a streamed argument', async (jsonPath) => {
    const functionCall = { name: 'f', partialArgs: [{ jsonPath, stringValue: 'x' }], willContinue: true };
    wire.answer = () => sseAnswer(eventStream([{ candidates: [{ content: { parts: [{ functionCall }] } }] }]));
    expect((await collect(await create(KEY).invoke(makeCall(wire.transport, { ...ASK, stream: true })))).error).toMatchObject({ kind: 'malformed' });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('counts thoughts once, also where a total says that they are inside', async () => {
    wire.answer = () =>
      jsonAnswer({
        candidates: [candidate('x')],
        usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 50, thoughtsTokenCount: 40, totalTokenCount: 60 },
      });
    expect((await invoke(ASK)).meters).toEqual({ inputTokens: 10, outputTokens: 50, reasoningTokens: 40 });
  });
});

describe('Claude as a partner model', () => {
  const settings = { vertex_publisher: 'anthropic', vertex_location: 'us-east5' };

  it('is asked in its own words under addresses of Vertex, whole and streamed', async () => {
    wire.answer = () => jsonAnswer({ content: [{ type: 'text', text: 'OK' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } });
    expect(parsed(await invoke(ASK, 'claude-sonnet-4-5@20250929', settings)).choices[0].message.content).toBe('OK');
    expect(wire.lastUrl).toBe(
      'https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict',
    );
    expect(wire.bodies()[0]).toEqual({
      anthropic_version: 'vertex-2023-10-16',
      max_tokens: 1024,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
      stream: false,
    });
    wire.answer = () => sseAnswer(anthropicEvents(recording(`${import.meta.dirname}/../anthropic/__fixtures__`, 'stream.chunks.txt').toString()));
    const reply = await create({ ...KEY, gcp_project_id: 'p', ...settings }, 'claude-sonnet-4-5@20250929').invoke(
      makeCall(wire.transport, { ...ASK, stream: true }),
    );
    expect((await collect(reply)).progress.meters).toEqual({ inputTokens: 12, outputTokens: 30 });
    expect(wire.lastUrl).toMatch(/:streamRawPredict$/);
  });

  it.each([{ user: 'u' }, { metadata: { a: 'b' } }, { service_tier: 'flex' }, { n: 2 }, { logprobs: true }])('refuses %j by name', async (body) => {
    await expect(invoke({ ...ASK, ...body }, 'claude-sonnet-4-5@20250929', settings)).rejects.toMatchObject({
      kind: 'unsupported_parameter',
      param: Object.keys(body)[0],
    });
  });
});
