import { GatewayError } from '@omg/contracts';
import { answerHeaders } from './answer-headers.js';
import type { RequestContext } from './context.js';
import { discardBody } from './unread-body.js';

/** Fastify's own refusals in the client's dialect. */
const FASTIFY_CODES: Record<string, ConstructorParameters<typeof GatewayError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type'],
};

/** Anything that was thrown as an outcome for the client; what we do not know is a plain 500 without text. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const code = (thrown as { code?: unknown } | null)?.code;
  const known = typeof code === 'string' ? FASTIFY_CODES[code] : undefined;
  return known ? new GatewayError(...known) : new GatewayError('internal_error', { cause: thrown });
}

export function errorHeaders(error: GatewayError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterMs)));
  }
  if (error.entry.shouldRetry !== undefined) headers['x-should-retry'] = String(error.entry.shouldRetry);
  return headers;
}

export function replyError(ctx: RequestContext, error: GatewayError): void {
  if (ctx.reply.raw.destroyed) {
    // Nobody is there to read it; Fastify must still be told that the request is over.
    if (!ctx.reply.sent) ctx.reply.hijack();
    return;
  }
  discardBody(ctx.request.raw, ctx.services.config.bodyBytesMax);
  // Fastify would close the connection under a client that is still sending, which then never reads the answer.
  if (error.code === 'request_too_large' || error.code === 'overloaded') ctx.reply.removeHeader('connection');
  ctx.reply
    .code(error.status)
    .headers({ ...answerHeaders(ctx), ...errorHeaders(error) })
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(error.toBody()));
}
