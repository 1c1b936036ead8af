import { addCleanup, cleanUp, startStack, TEST_KEY, waitFor } from '@omg/testkit';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { fromUtf8, toUtf8 } from '@smithy/util-utf8';
import { execFileSync } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { bookedRows } from './booked-rows.ts';
import { load, withCpu } from './load.ts';
import { publish } from './report.ts';

/**
 * What each kind of provider costs the edge: CPU per request, sync and streamed, and the time that the edge adds to the first
 * token. The whole edge runs, with key check, limits, budget and recorded usage; the provider is a stand-in that answers
 * the recorded form of its wire at once. The edge has one core to itself, all else shares the other.
 */
const EDGE_CORE = 0;
const OTHER_CORE = 1;
const CONNECTIONS = 16;
const SECONDS = 8;
const EVENTS = 50;
const FIRST_TOKENS = 200;

const WORDS = Array.from({ length: EVENTS }, (_, i) => ` word${i % 10}`);
const TEXT = WORDS.join('');
const USAGE = { input_tokens: 40, output_tokens: EVENTS };
const AWS = { aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'secret' };

const codec = new EventStreamCodec(toUtf8, fromUtf8);
const header = (value: string) => ({ type: 'string' as const, value });
const frame = (type: string, payload: unknown): Buffer =>
  Buffer.from(
    codec.encode({
      headers: { ':event-type': header(type), ':content-type': header('application/json'), ':message-type': header('event') },
      body: fromUtf8(JSON.stringify(payload)),
    }),
  );
const sse = (events: readonly unknown[], end = '\n\n'): Buffer[] =>
  events.map((event) => Buffer.from(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}${end}`));

interface Wire {
  name: string;
  entry: Record<string, unknown>;
  whole: unknown;
  streamType: string;
  stream: Buffer[];
}

const claude = { id: 'msg_1', type: 'message', role: 'assistant', content: [{ type: 'text', text: TEXT }], stop_reason: 'end_turn', usage: USAGE };
const claudeEvents = [
  { type: 'message_start', message: { id: 'msg_1', role: 'assistant', content: [], usage: { ...USAGE, output_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  ...WORDS.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: USAGE },
  { type: 'message_stop' },
];
const openAi = (choice: object, more: object = {}) => ({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [choice], ...more });
const openAiUsage = { prompt_tokens: 40, completion_tokens: EVENTS, total_tokens: 40 + EVENTS };
const gemini = (text: string, more: object = {}) => ({
  candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0, ...more }],
  usageMetadata: { promptTokenCount: 40, candidatesTokenCount: EVENTS, totalTokenCount: 40 + EVENTS },
  responseId: 'r',
});
const EVENT_STREAM = 'application/vnd.amazon.eventstream';

const WIRES: Wire[] = [
  {
    name: 'OpenAI-compatible (bytes pass through)',
    entry: { provider: 'openai-compatible', provider_model: 'm', api_key: 'k' },
    whole: {
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }],
      usage: openAiUsage,
    },
    streamType: 'text/event-stream',
    stream: sse([
      ...WORDS.map((content) => openAi({ index: 0, delta: { content }, finish_reason: null })),
      openAi({ index: 0, delta: {}, finish_reason: 'stop' }),
      { ...openAi({}), choices: [], usage: openAiUsage },
      '[DONE]',
    ]),
  },
  {
    name: 'Anthropic',
    entry: { provider: 'anthropic', provider_model: 'claude-sonnet-4-5', api_key: 'k' },
    whole: claude,
    streamType: 'text/event-stream',
    stream: sse(claudeEvents),
  },
  {
    name: 'Vertex (Gemini)',
    entry: { provider: 'vertex', provider_model: 'gemini-2.5-flash', metadata: { gcp_project_id: 'p', vertex_api_key: 'k' } },
    whole: gemini(TEXT, { finishReason: 'STOP' }),
    streamType: 'text/event-stream',
    stream: sse([...WORDS.map((word) => gemini(word)), gemini('', { finishReason: 'STOP' })], '\r\n\r\n'),
  },
  {
    name: 'Bedrock (Claude over InvokeModel)',
    entry: { provider: 'bedrock', provider_model: 'anthropic.claude-sonnet-4-5-20250929-v1:0', region: 'us-east-1', metadata: AWS },
    whole: claude,
    streamType: EVENT_STREAM,
    stream: claudeEvents.map((event) => frame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') })),
  },
  {
    name: 'Bedrock (Converse)',
    entry: { provider: 'bedrock', provider_model: 'amazon.nova-lite-v1:0', region: 'us-east-1', metadata: AWS },
    whole: {
      output: { message: { role: 'assistant', content: [{ text: TEXT }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 40, outputTokens: EVENTS, totalTokens: 40 + EVENTS },
    },
    streamType: EVENT_STREAM,
    stream: [
      frame('messageStart', { role: 'assistant' }),
      ...WORDS.map((text) => frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })),
      frame('contentBlockStop', { contentBlockIndex: 0 }),
      frame('messageStop', { stopReason: 'end_turn' }),
      frame('metadata', { usage: { inputTokens: 40, outputTokens: EVENTS, totalTokens: 40 + EVENTS } }),
    ],
  },
];

const isStream = (url: string, body: string): boolean => /stream/i.test(url) || body.includes('"stream":true');

/** Answers at once; a stream's events each in a write of their own, as tokens come. */
async function startStandIn(wire: Wire): Promise<string> {
  const whole = JSON.stringify(wire.whole);
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of incoming as AsyncIterable<Buffer>) parts.push(part);
    if (!isStream(incoming.url ?? '', Buffer.concat(parts).toString())) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(whole) });
      response.end(whole);
      return;
    }
    response.writeHead(200, { 'content-type': wire.streamType });
    for (const piece of wire.stream) {
      response.write(piece);
      await new Promise(setImmediate);
    }
    response.end();
  };
  const server = createServer((incoming, response) => void answer(incoming, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const body = (model: string, stream: boolean): string =>
  JSON.stringify({
    model,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'Tell me about the weather in Paris, and be brief.' },
    ],
    max_tokens: 512,
    ...(stream ? { stream: true } : {}),
  });
const HEADERS = { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' };

/** Median time to the first piece of the body, in milliseconds, one stream after the other. */
async function firstTokenMs(url: string, text: string): Promise<number> {
  const agent = new Agent({ connections: 1 });
  const times: number[] = [];
  for (let i = 0; i < FIRST_TOKENS + 20; i++) {
    const startedAt = performance.now();
    const answer = await request(url, { method: 'POST', dispatcher: agent, headers: HEADERS, body: text });
    let first: number | undefined;
    for await (const _piece of answer.body) first ??= performance.now() - startedAt;
    if (i >= 20) times.push(first!);
  }
  await agent.close();
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

interface Figures {
  name: string;
  syncMicros: number;
  streamMicros: number;
  syncPerSecond: number;
  streamPerSecond: number;
  failures: number;
  addedMs: number;
}

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  // Everything that is started from here on inherits the other core; the edge is moved to its own below.
  execFileSync('taskset', ['-acp', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
  const origins = await Promise.all(WIRES.map(startStandIn));
  const entries = WIRES.map(({ entry }, i) => {
    const base = entry['provider'] === 'openai-compatible' ? `${origins[i]}/v1` : origins[i]!;
    const place = entry['provider'] === 'vertex' ? { metadata: { ...(entry['metadata'] as object), vertex_endpoint: base } } : { endpoint: base };
    return { alias: `model-${i}`, modalities: ['text'], max_output_tokens: 4096, price_input: 0.0005, price_output: 0.0015, ...entry, ...place };
  });
  const stack = await startStack({
    upstreamUrl: `${origins[0]}/v1`,
    ownServers: ['postgres', 'redis'],
    env: { ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn' },
    config: { model_catalog: entries },
  });
  execFileSync('taskset', ['-acp', String(EDGE_CORE), String(stack.edge.pid)], { stdio: 'ignore' });
  const url = `${stack.edge.url}/v1/chat/completions`;
  // The first calls of a tenant fetch its total from the recorder.
  await load({ url, connections: 1, seconds: 1, headers: HEADERS, body: body('model-0', false) });
  await bookedRows(stack.databaseUrl);
  // The monitor's probes and the recorder's bookings are not what is measured.
  stack.monitor.pause();
  stack.recorder.pause();
  const figures: Figures[] = [];
  for (const [i, { name }] of WIRES.entries()) {
    const run = (stream: boolean, seconds: number) => load({ url, connections: CONNECTIONS, seconds, headers: HEADERS, body: body(`model-${i}`, stream) });
    const measured = (stream: boolean) => withCpu({ edge: stack.edge.pid }, () => run(stream, SECONDS));
    await waitFor(async () => (await fetch(url, { method: 'POST', headers: HEADERS, body: body(`model-${i}`, false) })).ok, { what: name });
    await run(false, 3);
    await run(true, 3);
    const sync = await measured(false);
    const streamed = await measured(true);
    const direct = await firstTokenMs(`${origins[i]}/stream`, body('m', true));
    const through = await firstTokenMs(url, body(`model-${i}`, true));
    figures.push({
      name,
      syncMicros: sync.cpu['edge']!,
      streamMicros: streamed.cpu['edge']!,
      syncPerSecond: sync.perSecond,
      streamPerSecond: streamed.perSecond,
      failures: sync.failures + streamed.failures,
      addedMs: through - direct,
    });
    await delay(500);
  }
  stack.recorder.resume();
  stack.monitor.resume();
  report(figures);
}

function report(figures: readonly Figures[]): void {
  const [through] = figures;
  const micros = (value: number): string => `${Math.round(value)} µs`;
  publish({
    name: 'providers',
    title: 'What each provider costs',
    method: [
      `The whole edge (key check, limits, budget, recorded usage) in front of stand-ins that answer each provider's wire at once: a chat answer of`,
      `${EVENTS} words, whole or as a stream of ${EVENTS} events. The edge has one core to itself; load generator, stand-ins, Redis and NATS share the other and`,
      `limit the throughput, so CPU per request is the figure that carries over. ${CONNECTIONS} connections, closed loop. The time to the first token is the median of`,
      `${FIRST_TOKENS} streams one after the other, less the same without the gateway.`,
    ],
    columns: ['provider', 'CPU, sync', 'CPU, streamed', 'streamed events/s per core', 'first token later by', 'requests/s', 'streams/s', 'failures'],
    rows: figures.map((one) => [
      one.name,
      micros(one.syncMicros),
      micros(one.streamMicros),
      Math.round((EVENTS * 1e6) / one.streamMicros),
      `${one.addedMs.toFixed(2)} ms`,
      Math.round(one.syncPerSecond),
      Math.round(one.streamPerSecond),
      one.failures,
    ]),
    findings: figures
      .slice(1)
      .map(
        (one) =>
          `${one.name}: ${micros(one.syncMicros - through!.syncMicros)} more per sync request and ${micros((one.streamMicros - through!.streamMicros) / EVENTS)} more per event than bytes that pass through.`,
      ),
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
