import type { Operation } from '@omg/domain';
import type { ProbeContext, ProviderCall } from '../spec/provider.js';

/** Room for a picture in base64. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** The smallest call that a model takes: a few tokens, or one image. It costs what it costs, outside any budget. */
export function smallestCall(operation: Operation, alias: string, { transport, signal, timeoutMs }: ProbeContext): ProviderCall {
  const json = { model: alias, ...SMALLEST[operation] };
  return {
    operation,
    alias,
    raw: Buffer.from(JSON.stringify(json)),
    json,
    stream: false,
    includeUsage: false,
    inputTokensEstimate: 1,
    transport,
    signal,
    headersTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
    responseBytesMax: ANSWER_BYTES_MAX,
  };
}

const SMALLEST: Readonly<Record<Operation, Record<string, unknown>>> = {
  chat: { messages: [{ role: 'user', content: 'ping' }], max_tokens: 1 },
  embeddings: { input: 'ping' },
  images: { prompt: 'a dot', n: 1 },
};
