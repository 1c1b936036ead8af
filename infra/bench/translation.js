// What translating costs: CPU time of a provider's adapter alone, without sockets, against a provider whose bytes pass
// through. The answers are in memory, in the pieces in which a provider sends them: one event each.
//
//   pnpm build && node infra/bench/translation.js [rounds]
//
// Prints one table in Markdown: microseconds of CPU per request that is not streamed, per stream of 200 events, and per
// event. The first calls, which load SDKs and warm the code, are not counted; loading has a column of its own.
import { createRequire } from 'node:module';
import { getProvider } from '../../packages/providers/dist/index.js';

// The script has no package of its own: what it borrows is the providers'.
const load = createRequire(new URL('../../packages/providers/package.json', import.meta.url));
const { EventStreamCodec } = load('@smithy/eventstream-codec');
const { fromUtf8, toUtf8 } = load('@smithy/util-utf8');

const ROUNDS = Number(process.argv[2] ?? 2000);
const EVENTS = 200;
const WORDS = Array.from({ length: EVENTS }, (_, i) => ` word${i % 10}`);
const TEXT = WORDS.join('');

const codec = new EventStreamCodec(toUtf8, fromUtf8);
const text = (value) => ({ type: 'string', value });
const frame = (type, payload) =>
  Buffer.from(
    codec.encode({
      headers: { ':event-type': text(type), ':content-type': text('application/json'), ':message-type': text('event') },
      body: fromUtf8(JSON.stringify(payload)),
    }),
  );
const sse = (events, end = '\n\n') => events.map((event) => Buffer.from(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}${end}`));

const usage = { input_tokens: 40, output_tokens: EVENTS };
const claudeEvents = [
  { type: 'message_start', message: { id: 'msg_1', role: 'assistant', content: [], usage: { ...usage, output_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  ...WORDS.map((word) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } })),
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage },
  { type: 'message_stop' },
];
const claude = { id: 'msg_1', type: 'message', role: 'assistant', content: [{ type: 'text', text: TEXT }], stop_reason: 'end_turn', usage };
const gemini = (part, over = {}) => ({
  candidates: [{ content: { role: 'model', parts: [{ text: part }] }, index: 0, ...over }],
  usageMetadata: { promptTokenCount: 40, candidatesTokenCount: EVENTS },
  responseId: 'r',
});
const openAi = (choice, over = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'upstream',
  choices: [{ index: 0, finish_reason: null, ...choice }],
  ...over,
});
const openAiUsage = { prompt_tokens: 40, completion_tokens: EVENTS, total_tokens: 40 + EVENTS };

const json = { 'content-type': 'application/json' };
const eventStream = { 'content-type': 'text/event-stream' };
const binary = { 'content-type': 'application/vnd.amazon.eventstream' };
const aws = { region: 'us-east-1', aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'secret' };

const CASES = [
  {
    name: 'openai (passes through)',
    slug: 'openai',
    model: 'gpt',
    settings: { api_key: 'sk-x' },
    whole: [
      json,
      {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: 'upstream',
        choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }],
        usage: openAiUsage,
      },
    ],
    stream: [
      eventStream,
      sse([
        ...WORDS.map((content) => openAi({ delta: { content } })),
        openAi({ delta: {}, finish_reason: 'stop' }),
        { ...openAi({}), choices: [], usage: openAiUsage },
        '[DONE]',
      ]),
    ],
  },
  {
    name: 'anthropic',
    slug: 'anthropic',
    model: 'claude-sonnet-4-5',
    settings: { api_key: 'sk-ant-x' },
    whole: [json, claude],
    stream: [eventStream, sse(claudeEvents)],
  },
  {
    name: 'bedrock, Claude',
    slug: 'bedrock',
    model: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
    settings: aws,
    whole: [json, claude],
    stream: [binary, claudeEvents.map((event) => frame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') }))],
  },
  {
    name: 'bedrock, Converse',
    slug: 'bedrock',
    model: 'amazon.nova-lite-v1:0',
    settings: aws,
    whole: [
      json,
      {
        output: { message: { role: 'assistant', content: [{ text: TEXT }] } },
        stopReason: 'end_turn',
        usage: { inputTokens: 40, outputTokens: EVENTS, totalTokens: 40 + EVENTS },
      },
    ],
    stream: [
      binary,
      [
        frame('messageStart', { role: 'assistant' }),
        ...WORDS.map((word) => frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: word } })),
        frame('contentBlockStop', { contentBlockIndex: 0 }),
        frame('messageStop', { stopReason: 'end_turn' }),
        frame('metadata', { usage: { inputTokens: 40, outputTokens: EVENTS, totalTokens: 40 + EVENTS } }),
      ],
    ],
  },
  {
    name: 'vertex, Gemini',
    slug: 'vertex',
    model: 'gemini-2.5-flash',
    settings: { gcp_project_id: 'p', vertex_api_key: 'k' },
    whole: [json, gemini(TEXT, { finishReason: 'STOP' })],
    stream: [eventStream, sse([...WORDS.map((word) => gemini(word)), gemini('', { finishReason: 'STOP' })], '\r\n\r\n')],
  },
];

const request = {
  model: 'alias',
  messages: [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: 'Tell me about the weather in Paris, and be brief.' },
  ],
  tools: [
    { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } },
  ],
  temperature: 0.2,
  max_tokens: 512,
};

function callOf(stream, headers, pieces) {
  const body = stream ? { ...request, stream: true } : request;
  const transport = {
    send: () =>
      Promise.resolve({
        status: 200,
        headers,
        bytes: () => Promise.resolve(pieces[0]),
        async *chunks() {
          yield* pieces;
        },
      }),
  };
  return {
    operation: 'chat',
    alias: 'alias',
    raw: Buffer.from(JSON.stringify(body)),
    json: body,
    stream,
    includeUsage: false,
    transport,
    signal: new AbortController().signal,
    headersTimeoutMs: 1000,
    idleTimeoutMs: 1000,
    responseBytesMax: 1024 * 1024,
  };
}

/** CPU microseconds per round. */
async function measure(adapter, rounds, makeCall) {
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i += 1) {
    const reply = await adapter.invoke(makeCall());
    if (reply.kind === 'stream') for await (const bytes of reply.frames) if (bytes.length === 0) throw new Error('an empty frame');
    const { meters } = reply.kind === 'stream' ? reply.progress() : reply;
    if (meters?.outputTokens !== EVENTS) throw new Error('the answer was not understood');
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / rounds;
}

console.log('| Provider | first call, ms | µs per request | µs per stream of 200 events | µs per event |');
console.log('|---|---|---|---|---|');
for (const { name, slug, model, settings, whole, stream } of CASES) {
  const adapter = getProvider(slug).create({ id: 'r', providerModel: model, deployment: model, modalities: [], maxOutputTokens: 4096, settings });
  const pieces = [Buffer.from(JSON.stringify(whole[1]))];
  const plainCall = () => callOf(false, whole[0], pieces);
  const streamCall = () => callOf(true, stream[0], stream[1]);
  const started = performance.now();
  await measure(adapter, 1, plainCall);
  const firstMs = performance.now() - started;
  await measure(adapter, ROUNDS / 2, plainCall);
  const plain = await measure(adapter, ROUNDS, plainCall);
  await measure(adapter, ROUNDS / 20, streamCall);
  const streamed = await measure(adapter, ROUNDS / 10, streamCall);
  console.log(`| ${name} | ${firstMs.toFixed(0)} | ${plain.toFixed(0)} | ${streamed.toFixed(0)} | ${(streamed / EVENTS).toFixed(1)} |`);
}
