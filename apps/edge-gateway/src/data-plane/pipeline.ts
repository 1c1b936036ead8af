import type { GatewayError } from '@omg/contracts';
import type { RequestContext } from './context.js';
import { abortRequest } from './context.js';
import { replyError, toGatewayError } from './reply-error.js';
import { admit } from './steps/admit.js';
import { authorize } from './steps/authorize.js';
import { idempotency } from './steps/idempotency.js';
import { invoke } from './steps/invoke.js';
import { parse } from './steps/parse.js';
import { readState } from './steps/read-state.js';
import { record } from './steps/record.js';
import { respond } from './steps/respond.js';
import { route } from './steps/route.js';
import { NOTHING_CONSUMED, consumptionOf, settle } from './steps/settle.js';

/**
 * The way of a request that calls a provider. `authenticate` has run before its body was read (register.ts); the other
 * steps follow here, in this order, each in the file of its name.
 */
export async function runPipeline(ctx: RequestContext): Promise<void> {
  const stopWatching = watchClient(ctx);
  const deadline = setTimeout(() => abortRequest(ctx, 'deadline'), ctx.services.config.syncTimeoutMs);
  ctx.services.inFlight.add(ctx);
  let failure: GatewayError | undefined;
  try {
    parse(ctx);
    authorize(ctx);
    if (await idempotency(ctx)) return;
    await admit(ctx);
    route(ctx);
    const invoked = await invoke(ctx);
    // A stream has a limit of its own.
    clearTimeout(deadline);
    await respond(ctx, invoked);
  } catch (thrown) {
    failure = toGatewayError(thrown);
    await refuse(ctx, failure);
  } finally {
    clearTimeout(deadline);
    stopWatching();
    ctx.services.inFlight.delete(ctx);
    record(ctx, failure);
  }
}

/** Ends a request without an answer: what was granted is given back or settled before the error leaves. */
async function refuse(ctx: RequestContext, failure: GatewayError): Promise<void> {
  ctx.status = failure.status;
  ctx.errorCode = failure.code;
  try {
    if (ctx.grant && !ctx.event) await giveBack(ctx);
    await ctx.idempotency?.abort?.();
    await readState(ctx);
  } catch (error) {
    ctx.services.log.error({ requestId: ctx.requestId, err: error }, 'a refused request could not be settled');
  }
  replyError(ctx, failure);
}

async function giveBack(ctx: RequestContext): Promise<void> {
  const grant = ctx.grant!;
  if (ctx.attempts.length === 0 && ctx.attempt === undefined) {
    // No provider was called: as if the request had never been.
    if (grant.local) ctx.services.fallback.cancel(grant.local, ctx.services.clock.nowMs());
    await ctx.services.admission.cancel(ctx.caller!.tenant.doc.id, ctx.caller!.key.doc.id, grant.attemptId);
    return;
  }
  // A call that the client gave up has cost its input at least; a failed one has cost what the provider told, or nothing.
  const told = ctx.attempts.at(-1)?.billed?.consumption;
  await settle(ctx, told ?? (ctx.abortReason === undefined ? NOTHING_CONSUMED : consumptionOf(ctx, { outputBytes: 0 })));
}

function watchClient(ctx: RequestContext): () => void {
  const out = ctx.reply.raw;
  const onClose = (): void => {
    if (!out.writableFinished) abortRequest(ctx, 'client');
  };
  out.on('close', onClose);
  return () => out.off('close', onClose);
}
