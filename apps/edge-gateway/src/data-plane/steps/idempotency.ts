import { GatewayError } from '@omg/contracts';
import { canonicalJson } from '@omg/domain';
import { createHash } from 'node:crypto';
import { answerHeaders } from '../answer-headers.js';
import type { RequestContext } from '../context.js';
import { readState } from './read-state.js';

/** The first call may take minutes; a client that asks every few seconds learns soon enough. */
const IN_USE_RETRY_MAX_MS = 2000;
const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * `Idempotency-Key` on calls that do not stream: the first answer is kept and replayed for free; the same key is refused
 * while the first call runs (409) and for another body (422). True: the request has been answered from the store.
 */
export async function idempotency(ctx: RequestContext): Promise<boolean> {
  const header = ctx.request.headers['idempotency-key'];
  if (header === undefined || ctx.parsed!.stream) return false;
  if (typeof header !== 'string' || !KEY.test(header)) {
    throw new GatewayError('invalid_value', { param: 'Idempotency-Key', message: "'Idempotency-Key' must be 1 to 255 printable ASCII characters." });
  }
  const { key, tenant } = ctx.caller!;
  const { idempotency: store, config } = ctx.services;
  const scope = { tenantId: tenant.doc.id, keyId: key.doc.id, route: `POST ${ctx.endpoint.path}`, clientKey: header };
  // Two encodings of one request are the same request.
  const fingerprint = createHash('sha256').update(canonicalJson(ctx.json)).digest('hex');
  let outcome;
  try {
    outcome = await store.begin(scope, fingerprint, config.syncTimeoutMs + config.leaseMs);
  } catch (cause) {
    // Without the store a retry could run and be billed twice: the promise of the header cannot be kept.
    throw new GatewayError('limiter_unavailable', { retryAfterMs: 1000, cause, internal: 'idempotency store is away' });
  }
  switch (outcome.outcome) {
    case 'in_use':
      throw new GatewayError('idempotency_key_in_use', { retryAfterMs: Math.min(outcome.retryAfterMs, IN_USE_RETRY_MAX_MS) });
    case 'reused':
      throw new GatewayError('idempotency_key_reused', { param: 'Idempotency-Key' });
    case 'replay':
      ctx.status = outcome.answer.status;
      await readState(ctx);
      ctx.reply
        .code(outcome.answer.status)
        .headers({ ...answerHeaders(ctx), 'content-type': outcome.answer.contentType, 'idempotency-replayed': 'true' })
        .send(outcome.answer.body);
      return true;
    default: {
      const { token } = outcome;
      const abort = () => swallow(ctx, store.abort(scope, token));
      ctx.idempotency = {
        key: header,
        // Where nothing may be kept, the key still guards against two calls at once.
        complete: config.keepsAnswers
          ? (status, contentType, body) => swallow(ctx, store.complete(scope, token, { status, contentType, body: body.toString('utf8') }))
          : abort,
        abort,
      };
      return false;
    }
  }
}

/** The answer is paid for: that it could not be kept for a replay must not take it away from the client. */
async function swallow(ctx: RequestContext, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    ctx.services.log.warn({ requestId: ctx.requestId, err: error }, 'idempotency store did not take the outcome');
  }
}
