import { GatewayError } from '@omg/contracts';
import { ProviderError } from '@omg/providers';
import type { ServerResponse } from 'node:http';
import { answerHeaders } from '../answer-headers.js';
import { abortRequest, type RequestContext } from '../context.js';
import { toGatewayError } from '../reply-error.js';
import { abortedError, type Invoked } from './invoke.js';
import { consumptionOf, settle } from './settle.js';

const DONE = Buffer.from('data: [DONE]\n\n');

/** Sends the answer. Its end is settled before its last byte leaves, so a client that has the whole answer has been recorded. */
export async function respond(ctx: RequestContext, invoked: Invoked): Promise<void> {
  if (invoked.kind === 'json') {
    ctx.status = 200;
    ctx.firstByteMs = performance.now() - ctx.startedAt;
    ctx.services.routing.onSuccess(ctx.route!.doc.id, ctx.routeGeneration, ctx.firstByteMs);
    await settle(ctx, consumptionOf(ctx, invoked.reply));
    await ctx.idempotency?.complete?.(200, 'application/json', invoked.reply.body);
    await sendBody(ctx, invoked.reply.body, { 'content-type': 'application/json' });
    return;
  }
  await respondStream(ctx, invoked);
}

/** What is handed to a client's connection at once: of a client that does not read, no more than this waits in memory. */
const PIECE_BYTES = 256 * 1024;
/** As large as a text may be that Node writes without allocating for it. */
const ONE_WRITE_BYTES = 8 * 1024;

/** A whole answer of `ctx.status`. Straight to the socket: nothing that the framework does between a route and its socket is wanted here. */
export async function sendBody(ctx: RequestContext, body: Buffer, own: Readonly<Record<string, string>>): Promise<void> {
  ctx.reply.hijack();
  const out = ctx.reply.raw;
  const headers = answerHeaders(ctx);
  for (const name in own) headers[name] = own[name]!;
  headers['content-length'] = String(body.length);
  out.writeHead(ctx.status, headers);
  if (body.length <= ONE_WRITE_BYTES) {
    // The bytes as text: Node joins it with the head and sends both at once, where a buffer would be a second piece.
    out.end(body.toString('latin1'), 'latin1');
    return;
  }
  if (body.length <= PIECE_BYTES) {
    out.end(body);
    return;
  }
  for (let at = 0; at < body.length && ctx.abortReason === undefined; at += PIECE_BYTES) {
    if (!out.write(body.subarray(at, at + PIECE_BYTES))) await drained(ctx, out);
  }
  if (ctx.abortReason === undefined) out.end();
  else out.destroy();
}

async function respondStream(ctx: RequestContext, invoked: Extract<Invoked, { kind: 'stream' }>): Promise<void> {
  ctx.reply.hijack();
  const out = ctx.reply.raw;
  ctx.status = 200;
  ctx.firstByteMs = performance.now() - ctx.startedAt;
  out.writeHead(200, {
    ...answerHeaders(ctx),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    // Clients of HTTP/1.0, and those that want to be let go, hear that the end of the stream is the connection's.
    connection: out.shouldKeepAlive ? 'keep-alive' : 'close',
    'x-accel-buffering': 'no',
  });
  const deadline = setTimeout(() => abortRequest(ctx, 'deadline'), ctx.services.config.streamMaxDurationMs);
  let failure: GatewayError | undefined;
  try {
    await copyFrames(ctx, invoked, out);
  } catch (error) {
    failure = streamFailure(ctx, error);
  } finally {
    clearTimeout(deadline);
  }
  if (failure === undefined && ctx.abortReason !== undefined) failure = abortedError(ctx);
  await finishStream(ctx, invoked, out, failure);
}

async function copyFrames(ctx: RequestContext, invoked: Extract<Invoked, { kind: 'stream' }>, out: ServerResponse): Promise<void> {
  let frame = invoked.first;
  while (frame !== undefined) {
    if (ctx.abortReason !== undefined) break;
    if (frame.length > 0 && !out.write(frame)) await drained(ctx, out);
    const next = await invoked.frames.next();
    frame = next.done ? undefined : next.value;
  }
  if (ctx.abortReason !== undefined) await invoked.frames.return?.();
}

/** Waits until the client has read on; a client that stops reading for too long is let go, memory is not spent on it. */
async function drained(ctx: RequestContext, out: ServerResponse): Promise<void> {
  if (out.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      abortRequest(ctx, 'slow_reader');
      done();
    }, ctx.services.config.clientWriteTimeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      out.off('drain', done);
      out.off('close', done);
      resolve();
    };
    out.on('drain', done);
    out.on('close', done);
  });
}

function streamFailure(ctx: RequestContext, error: unknown): GatewayError {
  if (ctx.abortReason !== undefined) return abortedError(ctx);
  if (error instanceof ProviderError) {
    ctx.services.log.warn({ requestId: ctx.requestId, routeId: ctx.route!.doc.id, kind: error.kind, detail: error.internal }, 'stream broke off');
    return new GatewayError(error.kind === 'timeout' ? 'upstream_timeout' : 'upstream_error', { cause: error });
  }
  ctx.services.log.error({ requestId: ctx.requestId, err: error }, 'stream failed');
  return toGatewayError(error);
}

/** A fault after the first byte is one error frame and the end of the stream, without `[DONE]`. */
async function finishStream(
  ctx: RequestContext,
  invoked: Extract<Invoked, { kind: 'stream' }>,
  out: ServerResponse,
  failure: GatewayError | undefined,
): Promise<void> {
  const { routing } = ctx.services;
  const routeId = ctx.route!.doc.id;
  const generation = ctx.routeGeneration;
  if (failure === undefined) routing.onSuccess(routeId, generation, ctx.firstByteMs!);
  else if (ctx.abortReason !== undefined) routing.onNeutral(routeId, generation);
  else routing.onFailure(routeId, generation, failure.code === 'upstream_timeout' ? 'timeout' : 'malformed', undefined);
  if (failure !== undefined) {
    ctx.status = ctx.abortReason === 'client' || ctx.abortReason === 'slow_reader' ? 499 : failure.status;
    ctx.errorCode = ctx.status === 499 ? 'client_closed_request' : failure.code;
  }
  await settle(ctx, consumptionOf(ctx, invoked.reply.progress()));
  if (out.destroyed) return;
  if (failure === undefined) out.end(DONE);
  else if (ctx.abortReason === 'slow_reader') out.destroy();
  else out.end(`data: ${JSON.stringify(failure.toBody())}\n\n`);
}
