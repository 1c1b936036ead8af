import { GatewayError } from '@omg/contracts';
import { canonicalJson } from '@omg/domain';
import type { IdempotencyScope, KeptAnswer, StoredAnswer } from '@omg/storage';
import { createHash } from 'node:crypto';
import type { RequestContext } from '../context.js';
import { noRoom } from '../read-body.js';
import { readState } from './read-state.js';
import { sendBody } from './respond.js';

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
  const outcome = await store.begin(scope, fingerprint, config.syncTimeoutMs + config.leaseMs).catch(storeIsAway);
  switch (outcome.outcome) {
    case 'in_use':
      throw new GatewayError('idempotency_key_in_use', { retryAfterMs: Math.min(outcome.retryAfterMs, IN_USE_RETRY_MAX_MS) });
    case 'reused':
      throw new GatewayError('idempotency_key_reused', { param: 'Idempotency-Key' });
    case 'replay':
      await replay(ctx, scope, outcome.answer);
      return true;
    default: {
      const { token } = outcome;
      const abort = () => swallow(ctx, store.abort(scope, token));
      const keep = (answer: StoredAnswer) => store.complete(scope, token, answer);
      ctx.idempotency = {
        key: header,
        complete: (status, contentType, body) => (keeps(ctx, body.length) ? swallow(ctx, keep({ status, contentType, body: body.toString('utf8') })) : abort()),
        abort,
      };
      return false;
    }
  }
}

/**
 * Replays are free, so only their bytes bound them: Redis has one thread, and an answer of megabytes that is asked for without end
 * would hold up everybody's limits.
 */
async function replay(ctx: RequestContext, scope: IdempotencyScope, { status, contentType, bodyBytes, body }: KeptAnswer): Promise<void> {
  const { replays, bodies, idempotency: store } = ctx.services;
  const waitMs = replays.waitMs(scope.tenantId, bodyBytes);
  if (waitMs > 0) {
    throw new GatewayError('rate_limit_exceeded', { retryAfterMs: waitMs, message: 'Rate limit reached: replayed answers of this tenant.' });
  }
  replays.use(scope.tenantId, bodyBytes);
  // Until its client has read it, an answer takes room like a body.
  if (!bodies.take(ctx, bodyBytes)) throw noRoom();
  const text = body ?? (await store.readBody(scope).catch(storeIsAway));
  // Its time ran out since it was looked up.
  if (text === undefined) throw new GatewayError('idempotency_key_in_use', { retryAfterMs: 1 });
  ctx.status = status;
  await readState(ctx);
  await sendBody(ctx, Buffer.from(text), { 'content-type': contentType, 'idempotency-replayed': 'true' });
}

/** Where nothing may be kept, or no more of this tenant's, the key still guards against two calls at once. */
function keeps(ctx: RequestContext, bodyBytes: number): boolean {
  const { config, idempotency: store, keptAnswers } = ctx.services;
  const tenantId = ctx.caller!.tenant.doc.id;
  if (!config.keepsAnswers || !store.keeps(bodyBytes) || keptAnswers.waitMs(tenantId, bodyBytes) > 0) return false;
  keptAnswers.use(tenantId, bodyBytes);
  return true;
}

/** Without the store a retry could run and be billed twice: the promise of the header cannot be kept. */
function storeIsAway(cause: unknown): never {
  throw new GatewayError('limiter_unavailable', { retryAfterMs: 1000, cause, internal: 'idempotency store is away' });
}

/** The answer is paid for: that it could not be kept for a replay must not take it away from the client. */
async function swallow(ctx: RequestContext, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    ctx.services.log.warn({ requestId: ctx.requestId, err: error }, 'idempotency store did not take the outcome');
  }
}
