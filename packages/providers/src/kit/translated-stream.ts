import type { StreamProgress, StreamReply } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import type { TransportResponse } from '../spec/transport.js';
import { SseReader } from './sse-reader.js';

/** Follows one provider's stream and says it in OpenAI's chunks. */
export interface StreamTranslation {
  /** The frames written since the last call, as one buffer. */
  take(): Buffer | undefined;
  /** Called once when the provider's bytes have ended; writes what was held back for the end. */
  end?(): void;
  /** Whether the provider said everything, so that an end of its bytes is no loss. */
  readonly ended: boolean;
  progress(): StreamProgress;
}

/** The same for a stream of server-sent events. */
export interface SseTranslation extends StreamTranslation {
  /** Takes the data of one event, valid only during the call. Throws a ProviderError for an error told inside the stream. */
  event(data: Buffer): void;
}

/**
 * Reads a provider's server-sent events through its translator. What came before an error is delivered before the error is
 * thrown; bytes that end before the provider said so are an error; after that, nothing can fail any more.
 */
export function sseReply(response: TransportResponse, translator: SseTranslation): StreamReply {
  return { kind: 'stream', frames: sseFrames(response, translator), progress: () => translator.progress() };
}

async function* sseFrames(response: TransportResponse, translator: SseTranslation): AsyncGenerator<Buffer, void, undefined> {
  const reader = new SseReader((data, start, end) => translator.event(data.subarray(start, end)));
  yield* translate(response.chunks(), translator, (chunk) => reader.push(chunk));
}

/** The same for any sequence of pieces, such as the events of a binary stream that an SDK has decoded. */
export async function* translate<T>(
  pieces: AsyncIterable<T>,
  translator: StreamTranslation,
  push: (piece: T) => void,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const piece of pieces) {
      let failure: unknown;
      try {
        push(piece);
      } catch (error) {
        failure = error;
      }
      const frames = translator.take();
      if (frames !== undefined) yield frames;
      if (failure !== undefined) throw failure;
    }
  } catch (error) {
    if (!translator.ended) throw error;
    return;
  }
  translator.end?.();
  const frames = translator.take();
  if (frames !== undefined) yield frames;
  if (!translator.ended) throw new ProviderError('malformed', { internal: 'the stream ended before the answer did' });
}
