import { GatewayError } from '@omg/contracts';
import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { RequestContext } from './context.js';
import { askForBody } from './unread-body.js';

/** Soon enough for a place that a finished request leaves, late enough that refused clients do not come back all at once. */
const RETRY_MS = 1000;

/**
 * What request bodies may take of this process's memory, all together: connections and the limit of one body alone would allow
 * gigabytes. A body takes its bytes as they arrive, so that one that was only announced takes nothing from the others, and
 * gives them back when its request is over.
 */
export class BodyMemory {
  private taken = 0;

  constructor(private readonly bytesMax: () => number) {}

  get takenBytes(): number {
    return this.taken;
  }

  hasRoomFor(bytes: number): boolean {
    return this.taken + bytes <= this.bytesMax();
  }

  take(ctx: RequestContext, bytes: number): boolean {
    if (!this.hasRoomFor(bytes)) return false;
    this.taken += bytes;
    ctx.bodyBytes += bytes;
    return true;
  }

  giveBack(ctx: RequestContext): void {
    this.taken -= ctx.bodyBytes;
    ctx.bodyBytes = 0;
  }
}

/** Reads the body of a request whose caller is known. How long that may take is the server's request timeout. */
export function readBody(request: FastifyRequest, stream: IncomingMessage, done: (error: Error | null, body?: Buffer) => void): void {
  const ctx = request.gateway!;
  const { bodies, config } = ctx.services;
  const pieces: Buffer[] = [];
  let bytes = 0;
  const end = (error: GatewayError | null, body?: Buffer): void => {
    stream.off('data', onData).off('end', onEnd).off('error', onError);
    done(error, body);
  };
  const onData = (piece: Buffer): void => {
    bytes += piece.length;
    if (bytes > config.bodyBytesMax) return end(new GatewayError('request_too_large'));
    if (!bodies.take(ctx, piece.length)) return end(noRoom());
    pieces.push(piece);
  };
  const onEnd = (): void => end(null, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes));
  // The connection ended before the body did.
  const onError = (): void => end(new GatewayError('client_closed_request'));
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > config.bodyBytesMax) return end(new GatewayError('request_too_large'));
  if (!bodies.hasRoomFor(announced)) return end(noRoom());
  stream.on('data', onData).on('end', onEnd).on('error', onError);
  askForBody(stream, ctx.reply.raw);
}

export function noRoom(): GatewayError {
  return new GatewayError('overloaded', { retryAfterMs: RETRY_MS, internal: 'request bodies have taken the memory that they may' });
}
