import { ATTEMPTS_MAX, GatewayError, type ErrorCode } from '@omg/contracts';
import {
  Cancellation,
  ProviderError,
  type CancelSignal,
  type JsonReply,
  type ProviderCall,
  type ProviderReply,
  type StreamProgress,
  type StreamReply,
} from '@omg/providers';
import type { RouteEntry } from '../../snapshot/config-snapshot.js';
import type { RequestContext } from '../context.js';
import { INPUT_FIELD } from '../endpoint.js';
import { extendHold } from './extend-hold.js';
import { consumptionOf } from './settle.js';

/** A reply whose first byte is in hand: from here on there is no failover. */
export type Invoked = { kind: 'json'; reply: JsonReply } | { kind: 'stream'; reply: StreamReply; first: Buffer | undefined; frames: AsyncIterator<Buffer> };

/**
 * Calls the planned routes in order until one answers. Another route is tried only before the first byte, within the
 * request's deadline, the retry budget and what the customer's budget still pays for; what is the client's fault ends the
 * request at once.
 */
export async function invoke(ctx: RequestContext): Promise<Invoked> {
  const { routing, retries } = ctx.services;
  // Given up while it was admitted: no provider has heard of it, so it costs nothing.
  if (ctx.abortReason !== undefined) throw abortedError(ctx);
  retries.onRequest();
  const errors: ProviderError[] = [];
  for (const route of ctx.plan) {
    const isRetry = errors.length > 0;
    if (isRetry) {
      if (ctx.attempts.length === ATTEMPTS_MAX || !(await extendHold(ctx))) break;
      if (ctx.abortReason !== undefined) throw abortedError(ctx);
    }
    // From here to the start nothing is waited for: a half-open breaker lets one call through, and a retry is spent on calls only.
    if (!routing.mayTry(route.doc.id)) continue;
    if (isRetry && !retries.take()) break;
    const startedAt = performance.now();
    ctx.route = route;
    ctx.routeGeneration = routing.start(route.doc.id);
    ctx.trace?.attemptBegins(ctx, route);
    try {
      const invoked = await tryRoute(ctx, route);
      ctx.attempts.push({ route: route.doc, status: 200, latencyMs: performance.now() - startedAt });
      return invoked;
    } catch (thrown) {
      const error = thrown as ProviderError;
      ctx.trace?.attemptFails(error.kind);
      ctx.attempts.push({
        route: route.doc,
        status: error.status ?? (error.kind === 'timeout' ? 504 : 502),
        errorCode: error.kind,
        latencyMs: performance.now() - startedAt,
        ...(error.consumed && { billed: { consumption: consumptionOf(ctx, error.consumed), priceVersionId: route.price?.id } }),
      });
      if (ctx.abortReason !== undefined) {
        // Nobody's fault but the caller's or ours: the route's breaker must not count it.
        routing.onNeutral(route.doc.id, ctx.routeGeneration);
        throw abortedError(ctx);
      }
      if (error.isFinal) {
        routing.onNeutral(route.doc.id, ctx.routeGeneration);
        throw finalError(ctx, error);
      }
      routing.onFailure(route.doc.id, ctx.routeGeneration, error.kind, error.retryAfterMs);
      errors.push(error);
      ctx.services.log.warn(
        { requestId: ctx.requestId, routeId: route.doc.id, kind: error.kind, upstreamStatus: error.status, detail: error.internal },
        'provider attempt failed',
      );
    }
  }
  throw exhaustedError(ctx, errors);
}

async function tryRoute(ctx: RequestContext, route: RouteEntry): Promise<Invoked> {
  const { config } = ctx.services;
  const attempt = new Cancellation();
  ctx.attempt = attempt;
  if (ctx.abortReason !== undefined) attempt.abort();
  let timedOut = false;
  let isOver = false;
  const timer = setTimeout(() => {
    // After a stall of this process the answer may lie in the socket: it is read first.
    setImmediate(() => {
      if (isOver) return;
      timedOut = true;
      attempt.abort();
    });
  }, config.providerTimeoutMs);
  let reply: ProviderReply | undefined;
  try {
    reply = await route.adapter!.invoke(providerCall(ctx, attempt));
    if (reply.kind === 'json') return { kind: 'json', reply };
    const frames = reply.frames[Symbol.asyncIterator]();
    const first = await frames.next();
    if (first.done) throw new ProviderError('malformed', { internal: 'the stream ended before its first chunk' });
    return { kind: 'stream', reply, first: first.value, frames };
  } catch (error) {
    const failure =
      timedOut && ctx.abortReason === undefined
        ? new ProviderError('timeout', { internal: 'no answer within server.provider_timeout', cause: error })
        : asProviderError(ctx, error);
    failure.consumed ??= (error instanceof ProviderError ? error.consumed : undefined) ?? usageSeen(reply);
    throw failure;
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
}

/** What a stream told of its usage before it failed without a chunk. */
function usageSeen(reply: ProviderReply | undefined): StreamProgress | undefined {
  const seen = reply?.kind === 'stream' ? reply.progress() : undefined;
  return seen && (seen.meters ?? seen.inputMeters ?? (seen.outputBytes > 0 || undefined)) ? seen : undefined;
}

function providerCall(ctx: RequestContext, signal: CancelSignal): ProviderCall {
  const { config, transport } = ctx.services;
  const parsed = ctx.parsed!;
  const cap = ctx.grant!.outputTokensCap;
  return {
    operation: ctx.endpoint.operation,
    alias: ctx.alias,
    raw: ctx.raw,
    json: ctx.json,
    stream: parsed.stream,
    includeUsage: parsed.includeUsage,
    inputTokensEstimate: parsed.inputTokensEstimate,
    ...(cap === undefined ? {} : { maxOutputTokens: cap }),
    transport,
    signal,
    headersTimeoutMs: config.providerTimeoutMs,
    idleTimeoutMs: parsed.stream ? config.streamIdleTimeoutMs : config.providerTimeoutMs,
    responseBytesMax: config.responseBytesMax,
  };
}

function asProviderError(ctx: RequestContext, thrown: unknown): ProviderError {
  if (thrown instanceof ProviderError) return thrown;
  if (ctx.abortReason === undefined) ctx.services.log.error({ requestId: ctx.requestId, err: thrown }, 'an adapter threw something unexpected');
  return new ProviderError('malformed', { cause: thrown, internal: 'unexpected error in the adapter' });
}

/** Why a request that was given up has no answer. */
export function abortedError(ctx: RequestContext): GatewayError {
  if (ctx.abortReason === 'deadline') return new GatewayError('upstream_timeout');
  if (ctx.abortReason === 'shutdown') return new GatewayError('shutting_down', { retryAfterMs: 1000 });
  return new GatewayError('client_closed_request');
}

/** A field's path, such as `messages[2].content[0].type`; anything else that a provider calls a parameter is not told. */
const FIELD_PATH = /^[A-Za-z_][\w.[\]-]{0,127}$/;

function finalError(ctx: RequestContext, error: ProviderError): GatewayError {
  const param = error.param !== undefined && FIELD_PATH.test(error.param) ? error.param : undefined;
  const options = { ...(param ? { param } : {}), internal: error.internal, cause: error };
  switch (error.kind) {
    case 'unsupported_parameter':
      return new GatewayError('unsupported_parameter', {
        ...options,
        ...(param ? { message: `'${param}' is not supported by this model.` } : {}),
      });
    case 'context_length':
      return new GatewayError('context_length_exceeded', { ...options, param: param ?? INPUT_FIELD[ctx.endpoint.operation] });
    case 'content_filter':
      return new GatewayError('content_filter', options);
    default:
      if (error.status === 413) return new GatewayError('request_too_large', options);
      return new GatewayError('invalid_value', {
        ...options,
        message: param ? `'${param}' was rejected as invalid.` : 'The provider rejected the request as invalid.',
      });
  }
}

/** Every route failed: the client hears of rate limits only when all were rate limited, of a timeout when the last one timed out. */
function exhaustedError(ctx: RequestContext, errors: readonly ProviderError[]): GatewayError {
  const last = errors.at(-1);
  if (!last) return new GatewayError('no_backend_available', { retryAfterMs: ctx.services.routing.soonestRetryMs(ctx.plan) });
  if (errors.every((error) => error.kind === 'rate_limited')) {
    const waits = errors.map((error) => error.retryAfterMs ?? 1000);
    return new GatewayError('upstream_rate_limited', { retryAfterMs: Math.min(...waits), cause: last });
  }
  const code: ErrorCode = last.kind === 'timeout' ? 'upstream_timeout' : 'upstream_error';
  return new GatewayError(code, { cause: last, internal: last.internal });
}
