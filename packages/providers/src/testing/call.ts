import { OPERATIONS } from '@omg/domain';
import type { ProviderCall, ProviderReply, ProviderRoute } from '../spec/provider.js';
import type { Transport } from '../spec/transport.js';

export function makeRoute(settings: Record<string, string>, over: Partial<ProviderRoute> = {}): ProviderRoute {
  return { id: 'route-1', providerModel: 'upstream-model', deployment: 'upstream-deployment', modalities: [], maxOutputTokens: 4096, settings, ...over };
}

/** A call as the edge would make it from a client's body. */
export function makeCall(transport: Transport, body: Record<string, unknown> | string, over: Partial<ProviderCall> = {}): ProviderCall {
  const raw = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const json = JSON.parse(raw.toString()) as Record<string, unknown>;
  const operation = OPERATIONS.find((name) => (name === 'embeddings' ? 'input' in json : name === 'images' ? 'prompt' in json : 'messages' in json)) ?? 'chat';
  const options = json['stream_options'] as { include_usage?: boolean } | undefined;
  return {
    operation,
    alias: String(json['model']),
    raw,
    json,
    stream: json['stream'] === true,
    includeUsage: options?.include_usage === true,
    inputTokensEstimate: 17,
    transport,
    signal: new AbortController().signal,
    headersTimeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    responseBytesMax: 8 * 1024 * 1024,
    ...over,
  };
}

export interface Collected {
  /** Every frame's data, parsed. */
  chunks: Record<string, any>[];
  error: unknown;
  progress: ReturnType<Extract<ProviderReply, { kind: 'stream' }>['progress']>;
}

/** Reads a stream to its end or its fault, and checks that it is made of whole frames of single-line JSON. */
export async function collect(reply: ProviderReply): Promise<Collected> {
  if (reply.kind !== 'stream') throw new Error('the reply is no stream');
  const chunks: Record<string, any>[] = [];
  let error: unknown;
  try {
    for await (const buffer of reply.frames) {
      const text = buffer.toString('utf8');
      if (!text.endsWith('\n\n')) throw new Error(`not whole frames: ${text}`);
      for (const frame of text.slice(0, -2).split('\n\n')) {
        if (!frame.startsWith('data: ') || frame.includes('\n')) throw new Error(`not a frame: ${frame}`);
        chunks.push(JSON.parse(frame.slice(6)) as Record<string, any>);
      }
    }
  } catch (caught) {
    error = caught;
  }
  return { chunks, error, progress: reply.progress() };
}
