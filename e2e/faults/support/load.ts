import { randomBytes } from 'node:crypto';
import { Agent, request } from 'undici';
import { TEST_KEY, addCleanup } from '@omg/testkit';
import { PROMPT_CANARY } from './mock-provider.js';

/**
 * Callers that come at a fixed rate, whatever the gateway does: a stalled gateway does not slow the load down, as it
 * would not slow real customers down. Every call has a number that its prompt, its request id and its row share.
 */
export type CallKind = 'chat' | 'stream' | 'embeddings';

export interface Outcome {
  callId: string;
  kind: CallKind;
  /** 0: no answer came (connection refused, reset, timeout). */
  status: number;
  /** The whole body arrived; for a stream, its `[DONE]`. */
  whole: boolean;
  errorCode?: string;
  /** Of a stream that did not end with `[DONE]`: the last event that came. */
  lastEvent?: string;
  headers: Record<string, string | string[] | undefined>;
  durationMs: number;
  error?: string;
}

export interface CallOptions {
  key?: string;
  maxTokens?: number;
  timeoutMs?: number;
  headers?: Record<string, string>;
  /** Leaves after the first bytes of the answer. */
  leaveEarly?: boolean;
  signal?: AbortSignal;
}

const RUN = randomBytes(3).toString('hex').replace(/^\d/, 'r');
let calls = 0;
const CALL_TIMEOUT_MS = 60_000;

/**
 * Its connections are closed by `cleanUp()`. One that nobody uses is closed from here, before a gateway that drains closes it after
 * half a second: a client that stood still for a moment would send into a connection that is gone already.
 */
export function createAgent(): Agent {
  const agent = new Agent({ connections: 2_000, pipelining: 1, keepAliveTimeout: 200, connect: { timeout: 30_000 } });
  addCleanup(() => agent.destroy());
  return agent;
}

export const nextCallId = (): string => `call-${RUN}-${++calls}`;

/** One call; never rejects. */
export async function call(agent: Agent, edgeUrl: string, kind: CallKind, options: CallOptions = {}): Promise<Outcome> {
  const callId = nextCallId();
  const startedMs = performance.now();
  const outcome: Outcome = { callId, kind, status: 0, whole: false, headers: {}, durationMs: 0 };
  try {
    const { path, body } = bodyOf(kind, callId, options.maxTokens);
    const answer = await request(`${edgeUrl}${path}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { authorization: `Bearer ${options.key ?? TEST_KEY}`, 'content-type': 'application/json', 'x-request-id': callId, ...options.headers },
      body: JSON.stringify(body),
      headersTimeout: options.timeoutMs ?? CALL_TIMEOUT_MS,
      bodyTimeout: options.timeoutMs ?? CALL_TIMEOUT_MS,
      signal: options.signal ?? AbortSignal.timeout((options.timeoutMs ?? CALL_TIMEOUT_MS) * 2),
    });
    outcome.status = answer.statusCode;
    outcome.headers = answer.headers;
    let text = '';
    for await (const part of answer.body) {
      text += String(part);
      if (options.leaveEarly) {
        answer.body.destroy();
        break;
      }
    }
    outcome.whole = !options.leaveEarly && (kind === 'stream' && answer.statusCode === 200 ? text.endsWith('data: [DONE]\n\n') : true);
    if (kind === 'stream' && !outcome.whole) outcome.lastEvent = text.trimEnd().slice(text.trimEnd().lastIndexOf('\n') + 1);
    if (answer.statusCode !== 200) outcome.errorCode = errorCodeOf(text);
  } catch (error) {
    outcome.error = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  outcome.durationMs = performance.now() - startedMs;
  return outcome;
}

function bodyOf(kind: CallKind, callId: string, maxTokens: number | undefined): { path: string; body: unknown } {
  const text = `${PROMPT_CANARY} ${callId} please answer`;
  if (kind === 'embeddings') return { path: '/v1/embeddings', body: { model: 'test-embed', input: text } };
  const body = { model: 'test-chat', messages: [{ role: 'user', content: text }], ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }) };
  return { path: '/v1/chat/completions', body: kind === 'stream' ? { ...body, stream: true } : body };
}

function errorCodeOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: { code?: string } }).error?.code;
  } catch {
    return undefined;
  }
}

export interface Load {
  /** Calls that have ended. */
  outcomes: Outcome[];
  /** Stops sending and waits for the running calls. */
  stop(): Promise<Outcome[]>;
}

export interface LoadOptions extends CallOptions {
  kinds?: readonly CallKind[];
  /** No more calls than this run at a time, for tests that are not about overload: a slow machine gets fewer of them. Default: no bound. */
  atOnceMax?: number;
}

const MIX: readonly CallKind[] = ['chat', 'stream', 'chat', 'embeddings', 'chat'];
const TICK_MS = 10;

/** Sends `perSecond` calls to the edges in turn until it is stopped. */
export function startLoad(edgeUrls: readonly string[], perSecond: number, options: LoadOptions = {}): Load {
  const { kinds = MIX, atOnceMax = Infinity } = options;
  const agent = createAgent();
  const outcomes: Outcome[] = [];
  const running = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) * perSecond) / 1000;
    for (; sent < due && running.size < atOnceMax; sent++) {
      const one = call(agent, edgeUrls[sent % edgeUrls.length]!, kinds[sent % kinds.length]!, options)
        .then((outcome) => void outcomes.push(outcome))
        .finally(() => running.delete(one));
      running.add(one);
    }
  }, TICK_MS);
  return {
    outcomes,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(running);
      return outcomes;
    },
  };
}
