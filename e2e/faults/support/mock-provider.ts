import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { addCleanup } from '@omg/testkit';

/**
 * A provider that logs every call it gets with the usage it told, by the number that the caller put into its prompt.
 * Its numbers follow from that number, so each call's cost is known before it is made. It speaks OpenAI's wire.
 */
export interface ProviderCall {
  callId: string;
  kind: 'chat' | 'stream' | 'embeddings';
  promptTokens: number;
  /** What the answer said; for a stream the caller left, what was sent until then. */
  completionTokens: number;
  /** The whole answer was handed to the socket. */
  finished: boolean;
  /** The caller closed the connection first. */
  aborted: boolean;
}

export interface MockProvider {
  url: string;
  calls: ProviderCall[];
  callsOf(callId: string): ProviderCall[];
  /** Milliseconds before a sync answer and between the chunks of a stream; while `held`, streams stop after their first chunk. */
  pace: { answerMs: number; chunkMs: number; held: boolean };
  /** What it does instead of answering. */
  trouble: Trouble | undefined;
  /** Streams that run now. */
  readonly openStreams: number;
}

/** A failure before the first byte: an error, no answer at all, or a broken connection. */
export type Trouble = 'error' | 'hang' | 'reset';

/** Every prompt carries this word: finding it in a log is a leak. */
export const PROMPT_CANARY = 'CANARY-PROMPT-TEXT';
const CALL_ID = /call-[0-9a-z]+-\d+/;
const CALLS_MAX = 500_000;
const CHUNKS_MAX = 2_000;
const HELD_CHECK_MS = 100;

export const tokensOf = (callId: string): { prompt: number; completion: number } => {
  const n = Number(callId.slice(callId.lastIndexOf('-') + 1));
  // Below what the gateway estimates for these prompts, as a real count mostly is.
  return { prompt: 6 + (n % 7), completion: 3 + (n % 29) };
};

export async function startMockProvider(): Promise<MockProvider> {
  const calls: ProviderCall[] = [];
  const byId = new Map<string, ProviderCall[]>();
  const pace = { answerMs: 5, chunkMs: 2, held: false };
  const state: { trouble: Trouble | undefined } = { trouble: undefined };
  let openStreams = 0;

  const log = (call: ProviderCall): ProviderCall => {
    if (calls.length >= CALLS_MAX) throw new Error('the mock provider keeps a bounded log');
    calls.push(call);
    byId.set(call.callId, [...(byId.get(call.callId) ?? []), call]);
    return call;
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A health probe lists the models.
    if (request.method === 'GET') return sendJson(response, { object: 'list', data: [] });
    const text = await readBody(request);
    const body = JSON.parse(text) as { model: string; stream?: boolean; input?: unknown; max_tokens?: number; max_completion_tokens?: number };
    const callId = CALL_ID.exec(text)?.[0];
    if (callId === undefined) return sendJson(response, { object: 'list', data: [] });
    const kind = request.url?.endsWith('/embeddings') ? 'embeddings' : body.stream ? 'stream' : 'chat';
    const { prompt, completion } = tokensOf(callId);
    const cap = body.max_completion_tokens ?? body.max_tokens ?? completion;
    const wanted = kind === 'embeddings' ? 0 : Math.min(completion, cap);
    const call = log({ callId, kind, promptTokens: prompt, completionTokens: 0, finished: false, aborted: false });
    response.once('close', () => {
      if (!response.writableFinished) call.aborted = true;
    });
    if (state.trouble !== undefined) return fail(response, state.trouble);
    if (kind === 'stream') return stream(response, call, body.model, wanted);
    await later(pace.answerMs);
    call.completionTokens = wanted;
    response.once('finish', () => (call.finished = true));
    sendJson(response, kind === 'embeddings' ? embeddings(body.model, prompt) : chat(body.model, prompt, wanted));
  }

  async function stream(response: ServerResponse, call: ProviderCall, model: string, wanted: number): Promise<void> {
    openStreams++;
    response.once('close', () => openStreams--);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = (choices: unknown[], usage?: unknown) =>
      response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model, choices, ...(usage ? { usage } : {}) })}\n\n`);
    for (let i = 0; i < Math.min(wanted, CHUNKS_MAX); i++) {
      if (call.aborted || response.destroyed) return;
      chunk([{ index: 0, delta: i === 0 ? { role: 'assistant', content: 'word ' } : { content: 'word ' }, finish_reason: null }]);
      call.completionTokens++;
      do await later(pace.held ? HELD_CHECK_MS : pace.chunkMs);
      while (pace.held && !call.aborted);
    }
    if (call.aborted || response.destroyed) return;
    chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
    chunk([], usageOf(call.promptTokens, wanted));
    response.once('finish', () => (call.finished = true));
    response.end('data: [DONE]\n\n');
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  await listen(server);
  addCleanup(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/v1`,
    calls,
    callsOf: (callId) => byId.get(callId) ?? [],
    pace,
    get trouble() {
      return state.trouble;
    },
    set trouble(trouble) {
      state.trouble = trouble;
    },
    get openStreams() {
      return openStreams;
    },
  };
}

const usageOf = (prompt: number, completion: number) => ({ prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion });

function chat(model: string, prompt: number, completion: number): unknown {
  const message = { role: 'assistant', content: 'word '.repeat(completion).trim() };
  return { id: 'c', object: 'chat.completion', created: 1, model, choices: [{ index: 0, message, finish_reason: 'stop' }], usage: usageOf(prompt, completion) };
}

function embeddings(model: string, prompt: number): unknown {
  const usage = { prompt_tokens: prompt, total_tokens: prompt };
  return { object: 'list', model, data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }], usage };
}

function fail(response: ServerResponse, trouble: Trouble): void {
  if (trouble === 'reset') response.destroy();
  else if (trouble === 'error') {
    response.writeHead(500, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}');
  }
}

function sendJson(response: ServerResponse, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

const later = (ms: number): Promise<void> => new Promise((resolve) => (ms <= 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));

const listen = (server: Server): Promise<void> => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
