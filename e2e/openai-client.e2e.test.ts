import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, startService, startStack, TEST_KEY, waitFor, type FakeUpstream, type TestStack } from '@omg/testkit';
import OpenAI from 'openai';
import OpenAIv6 from 'openai-v6';
import { Ledger } from './support/usage.js';

/** Prices of the stack's chat model, nano-USD per token. */
const INPUT_NANO = 500n;
const OUTPUT_NANO = 1500n;

let stack: TestStack;
let ledger: Ledger;
/** A provider that tells five words and then falls silent. */
let silent: FakeUpstream;

const SILENT_CHUNK = {
  id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
  object: 'chat.completion.chunk',
  created: 1741570283,
  model: 'gpt-4.1-2025-04-14',
  service_tier: 'default',
  system_fingerprint: 'fp_daf5fcc80a',
};

function catalog(demoUrl: string, silentUrl: string): object[] {
  const chat = {
    provider: 'openai-compatible',
    supports_tools: true,
    modalities: ['text', 'image'],
    max_output_tokens: 4096,
    price_input: 0.0005,
    price_output: 0.0015,
  };
  return [
    { ...chat, alias: 'test-chat', provider_model: 'demo-chat', endpoint: demoUrl },
    { ...chat, alias: 'uncounted-chat', provider_model: 'demo-chat-nousage', endpoint: demoUrl },
    { ...chat, alias: 'silent-chat', provider_model: 'gpt-4.1', endpoint: silentUrl },
    {
      provider: 'openai-compatible',
      alias: 'test-embed',
      provider_model: 'demo-embed',
      model_type: 'embedding',
      modalities: ['embeddings'],
      price_input: 0.00002,
      endpoint: demoUrl,
    },
  ];
}

beforeAll(async () => {
  silent = await startFakeUpstream(async (exchange) => {
    await exchange.startEventStream();
    await exchange.chunk(
      `data: ${JSON.stringify({ ...SILENT_CHUNK, choices: [{ index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }] })}\n\n`,
    );
    for (const content of ['Once', ' upon', ' a', ' time', ' there']) {
      await exchange.chunk(
        `data: ${JSON.stringify({ ...SILENT_CHUNK, choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }] })}\n\n`,
      );
    }
  });
  const demo = await startService('demo-provider', { DEMO_STATIC: '1' });
  stack = await startStack({ upstreamUrl: `${demo.url}/v1`, config: { model_catalog: catalog(`${demo.url}/v1`, `${silent.origin}/v1`) } });
  ledger = Ledger.open(stack.databaseUrl);
});

afterAll(async () => {
  await ledger?.close();
  await cleanUp();
});

const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'Weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const TIME = {
  type: 'function' as const,
  function: { name: 'get_time', description: 'Time in a city', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
};

describe.each([
  ['current major', OpenAI],
  ['previous major', OpenAIv6 as unknown as typeof OpenAI],
])('the official client, %s', (_name, Client) => {
  let client: OpenAI;
  beforeAll(() => {
    client = new Client({ baseURL: `${stack.edge.url}/v1`, apiKey: TEST_KEY, maxRetries: 0 });
  });

  it('gets a whole answer under the alias, recorded with its exact cost', async () => {
    const { data, request_id } = await client.chat.completions
      .create({ model: 'test-chat', messages: [{ role: 'user', content: 'Hello there' }] })
      .withResponse();
    expect(data.model).toBe('test-chat');
    expect(data.choices[0]!.message.content!.length).toBeGreaterThan(0);
    expect(data.choices[0]!.finish_reason).toBe('stop');
    const row = await ledger.call(request_id!);
    expect(row).toMatchObject({ status: 200, stream: false, model_alias: 'test-chat', usage_source: 'provider' });
    expect(row.input_tokens).toBe(data.usage!.prompt_tokens);
    expect(row.output_tokens).toBe(data.usage!.completion_tokens);
    expect(BigInt(row.cost_nano!)).toBe(BigInt(data.usage!.prompt_tokens) * INPUT_NANO + BigInt(data.usage!.completion_tokens) * OUTPUT_NANO);
  });

  it('gets a stream without a usage chunk when it did not ask for one, and the usage is recorded all the same', async () => {
    const { data: stream, request_id } = await client.chat.completions
      .create({ model: 'test-chat', stream: true, messages: [{ role: 'user', content: 'Stream please' }] })
      .withResponse();
    let text = '';
    const ids = new Set<string>();
    let finish: string | null = null;
    for await (const chunk of stream) {
      expect(chunk.model).toBe('test-chat');
      expect(chunk.choices).toHaveLength(1);
      expect(chunk.usage ?? null).toBeNull();
      ids.add(chunk.id);
      text += chunk.choices[0]!.delta.content ?? '';
      finish = chunk.choices[0]!.finish_reason ?? finish;
    }
    expect(finish).toBe('stop');
    expect(ids.size).toBe(1);
    expect(text.length).toBeGreaterThan(0);
    const row = await ledger.call(request_id!);
    expect(row).toMatchObject({ status: 200, stream: true, usage_source: 'provider' });
    expect(row.output_tokens).toBeGreaterThan(0);
  });

  it('gets a usage from a provider that tells none: what is booked, marked there as an estimate', async () => {
    const messages = [{ role: 'user' as const, content: 'Hello there' }];
    const whole = await client.chat.completions.create({ model: 'uncounted-chat', messages }).withResponse();
    const stream = await client.chat.completions
      .create({ model: 'uncounted-chat', messages, stream: true, stream_options: { include_usage: true } })
      .withResponse();
    let last: OpenAI.ChatCompletionChunk | undefined;
    for await (const chunk of stream.data) last = chunk;
    expect(last!.choices).toEqual([]);
    for (const [requestId, usage] of [
      [whole.request_id, whole.data.usage],
      [stream.request_id, last!.usage],
    ] as const) {
      const row = await ledger.call(requestId!);
      expect(row).toMatchObject({ status: 200, usage_source: 'estimate', input_tokens: usage!.prompt_tokens, output_tokens: usage!.completion_tokens });
      expect(usage!.total_tokens).toBe(usage!.prompt_tokens + usage!.completion_tokens);
      expect(usage!.completion_tokens).toBeGreaterThan(0);
    }
  });

  it('gets the usage of a stream in a last chunk without choices when it asked for it', async () => {
    const stream = await client.chat.completions.create({
      model: 'test-chat',
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: 'Count me' }],
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const last = chunks.at(-1)!;
    expect(last.choices).toEqual([]);
    expect(last.usage!.total_tokens).toBe(last.usage!.prompt_tokens + last.usage!.completion_tokens);
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it('gets parallel tool calls whole and streamed, with an index each', async () => {
    const messages = [{ role: 'user' as const, content: 'Call get_weather and get_time for Berlin' }];
    const whole = await client.chat.completions.create({ model: 'test-chat', messages, tools: [WEATHER, TIME] });
    expect(whole.choices[0]!.finish_reason).toBe('tool_calls');
    const names = whole.choices[0]!.message.tool_calls!.map((call) => (call.type === 'function' ? call.function.name : ''));
    expect(names.sort()).toEqual(['get_time', 'get_weather']);
    const streamed = client.chat.completions.stream({ model: 'test-chat', messages, tools: [WEATHER, TIME] });
    const final = await streamed.finalChatCompletion();
    const calls = final.choices[0]!.message.tool_calls!;
    expect(calls).toHaveLength(2);
    for (const call of calls) if (call.type === 'function') expect(() => JSON.parse(call.function.arguments)).not.toThrow();
  });

  it('sends pictures and gets structured output', async () => {
    const answer = await client.chat.completions.create({
      model: 'test-chat',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Describe it' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
          ],
        },
      ],
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'answer',
          schema: { type: 'object', properties: { colour: { type: 'string' }, count: { type: 'integer' } }, required: ['colour', 'count'] },
        },
      },
    });
    expect(Object.keys(JSON.parse(answer.choices[0]!.message.content!)).sort()).toEqual(['colour', 'count']);
  });

  it('gets n choices, each under its index', async () => {
    const answer = await client.chat.completions.create({ model: 'test-chat', n: 3, messages: [{ role: 'user', content: 'Three' }] });
    expect(answer.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
  });

  it('decodes embeddings in the encoding that it asks for by itself', async () => {
    const { data, request_id } = await client.embeddings.create({ model: 'test-embed', input: ['one text', 'another'] }).withResponse();
    expect(data.data.map((item) => item.index)).toEqual([0, 1]);
    const [vector] = data.data.map((item) => item.embedding);
    const length = Math.sqrt(vector!.reduce((sum, x) => sum + x * x, 0));
    expect(length).toBeCloseTo(1, 3);
    const row = await ledger.call(request_id!);
    expect(row.input_tokens).toBe(data.usage.prompt_tokens);
    const floats = await client.embeddings.create({ model: 'test-embed', input: 'one text', encoding_format: 'float' });
    floats.data[0]!.embedding.forEach((x, i) => expect(x).toBeCloseTo(vector![i]!, 5));
  });

  it('lists the models and reads one', async () => {
    const ids = (await client.models.list()).data.map((model) => model.id);
    expect(ids).toEqual(['silent-chat', 'test-chat', 'test-embed', 'uncounted-chat']);
    expect((await client.models.retrieve('test-chat')).owned_by).toBe('openai-compatible');
    await expect(client.models.retrieve('no-such-model')).rejects.toBeInstanceOf(Client.NotFoundError);
  });

  it('raises its own error classes', async () => {
    const chat = (body: object, options?: object) => client.chat.completions.create(body as OpenAI.Chat.ChatCompletionCreateParamsNonStreaming, options);
    const user = [{ role: 'user', content: 'x' }];
    await expect(chat({ model: 'test-chat', messages: [] })).rejects.toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'messages',
      type: 'invalid_request_error',
    });
    await expect(chat({ model: 'test-chat', messages: user, temperature: 7 })).rejects.toBeInstanceOf(Client.BadRequestError);
    await expect(chat({ model: 'no-such-model', messages: user })).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    const stranger = new Client({ baseURL: `${stack.edge.url}/v1`, apiKey: 'sk-test.wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(Client.AuthenticationError);
    await expect(chat({ model: 'test-chat', messages: [{ role: 'user', content: 'x'.repeat(21 * 1024 * 1024) }] })).rejects.toMatchObject({ status: 413 });
  });

  it('that leaves in the middle of a stream ends the provider call too, and what was produced is billed', async () => {
    const controller = new AbortController();
    const { data: stream, request_id } = await client.chat.completions
      .create({ model: 'silent-chat', stream: true, messages: [{ role: 'user', content: 'Tell me a very long story' }] }, { signal: controller.signal })
      .withResponse();
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]!.delta.content ?? '';
      if (text.endsWith('there')) controller.abort();
    }
    await waitFor(() => silent.exchanges.every((exchange) => exchange.aborted), { what: 'the upstream call to be cancelled' });
    const row = await ledger.call(request_id!);
    expect(row).toMatchObject({ status: 499, error_code: 'client_closed_request', usage_source: 'estimate' });
    // "Once upon a time there": 22 characters.
    expect(row.output_tokens).toBe(6);
    expect(BigInt(row.cost_nano!)).toBe(BigInt(row.input_tokens!) * INPUT_NANO + 6n * OUTPUT_NANO);
  });
});
