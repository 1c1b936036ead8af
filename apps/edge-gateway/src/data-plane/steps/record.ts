import { uuidV7 } from '@omg/domain';
import { encodeUsageEvent, type GatewayError } from '@omg/contracts';
import type { RequestContext } from '../context.js';
import { abortedError } from './invoke.js';
import { refusalEvent } from '../usage-event.js';

/**
 * Who refused, for the `provider` column of a request row that never reached one. Where usage cannot be kept anywhere
 * (`metering_unavailable`) there is no place for refusals either.
 */
const REFUSED_BY: Partial<Record<GatewayError['code'], string>> = {
  budget_exceeded: 'budget',
  rate_limit_exceeded: 'limiter',
  limiter_unavailable: 'limiter',
  no_backend_available: 'router',
  budget_store_unavailable: 'budget',
};

/**
 * The last step of every request: refusals become request rows, and each request is one log line and one set of metrics. Log and
 * metrics tell how it ended for the client. The usage row of a whole answer was written before its first byte: it tells what was
 * made and billed, and what is replayed, not whether somebody read it.
 */
export function record(ctx: RequestContext, error: GatewayError | undefined): void {
  const { services } = ctx;
  services.bodies.giveBack(ctx);
  const out = ctx.reply.raw;
  if (ctx.status < 400 && out.destroyed && !out.writableFinished) {
    const cut = abortedError(ctx);
    ctx.status = cut.status;
    ctx.errorCode = cut.code;
  }
  const refusedBy = error && REFUSED_BY[error.code];
  if (!ctx.event && refusedBy && ctx.caller && ctx.model) {
    // Nothing was consumed and nobody will be billed: best effort is enough, and a flood of refusals may be thinned out.
    services.usage.enqueue(encodeUsageEvent(refusalEvent(ctx, uuidV7(services.clock.nowMs(), services.random(10)), refusedBy)));
  }
  const durationMs = performance.now() - ctx.startedAt;
  services.metrics.onRequest(ctx, durationMs);
  ctx.trace?.end(ctx);
  services.log.info(
    {
      requestId: ctx.requestId,
      traceId: ctx.trace?.traceId,
      path: ctx.endpoint.path,
      status: ctx.status,
      errorCode: ctx.errorCode,
      detail: error?.internal,
      tenantId: ctx.caller?.tenant.doc.id,
      apiKeyId: ctx.caller?.key.doc.id,
      model: ctx.alias || undefined,
      routeId: ctx.route?.doc.id,
      provider: ctx.route?.doc.provider,
      attempts: ctx.attempts.length,
      stream: ctx.parsed?.stream,
      durationMs: Math.round(durationMs * 10) / 10,
      firstByteMs: ctx.firstByteMs === undefined ? undefined : Math.round(ctx.firstByteMs * 10) / 10,
      inputTokens: ctx.event?.meters.inputTokens,
      outputTokens: ctx.event?.meters.outputTokens,
      usageSource: ctx.event?.usageSource,
      costNano: ctx.event?.costNano,
      attemptId: ctx.grant?.attemptId,
    },
    'request',
  );
  if (error?.code === 'internal_error') services.log.error({ requestId: ctx.requestId, err: error.cause }, 'internal error');
}
