import type { UsageEvent } from '@omg/contracts';
import { NO_USAGE, costOf, estimateTokens, totalTokens, type Meters, type UsageSource } from '@omg/domain';
import type { StreamProgress } from '@omg/providers';
import type { Consumption, Grant, RequestContext } from '../context.js';

/**
 * Meters of an answer: the provider's where it told them; else an estimate from the text that was produced, marked as
 * such. An answer that broke off before anything was produced has still been charged its input by the provider; where the
 * provider told that input, cached parts included, before the end, it is exact.
 */
export function consumptionOf(ctx: RequestContext, seen: StreamProgress): Consumption {
  const operation = ctx.endpoint.operation;
  let meters: Meters;
  let source: UsageSource;
  if (seen.meters) {
    meters = seen.meters;
    source = 'provider';
  } else {
    const outputTokens = operation === 'chat' ? estimateTokens(seen.outputChars) : 0;
    meters = { ...(seen.inputMeters ?? { inputTokens: ctx.parsed!.inputTokensEstimate }), outputTokens };
    source = 'estimate';
  }
  return { meters, source, cost: costOf(ctx.route?.price, meters, operation) };
}

export const NOTHING_CONSUMED: Consumption = Object.freeze({ meters: NO_USAGE, source: 'none', cost: { totalNano: 0n, components: {} } });

/**
 * The END of the request leaves the process: one Redis call turns the hold into the cost, corrects the token window,
 * frees the lease and stores the event. Without Redis the bus's acknowledgement takes its place, then the spool file.
 * Runs exactly once per granted request, on every path, and is not cancelled by the client's leaving.
 */
export async function settle(ctx: RequestContext, consumption: Consumption): Promise<void> {
  const { grant, services } = ctx;
  if (!grant || ctx.event) return;
  const event = usageEvent(ctx, consumption, grant);
  ctx.event = event;
  const tokens = totalTokens(consumption.meters);
  const costNano = consumption.cost.totalNano ?? 0n;
  if (grant.local) services.fallback.settle(grant.local, tokens, costNano, services.clock.nowMs());
  try {
    const result = await services.admission.settle({
      attemptId: grant.attemptId,
      tenantId: event.tenantId,
      keyId: event.apiKeyId,
      tokens,
      costNano,
      event: JSON.stringify(event),
      budgets: grant.budgets,
    });
    if (ctx.admission) ctx.admission = { ...ctx.admission, budgets: result.budgets };
    services.usage.enqueue(event);
    return;
  } catch (error) {
    services.log.warn({ requestId: ctx.requestId, err: error }, 'settlement not possible in Redis; the event goes to the bus');
  }
  try {
    await services.usage.publishDurably(event);
  } catch (error) {
    // The answer is paid for and goes out. Its usage waits in memory for the bus, the log is the last copy, and new
    // requests are refused until one store is back.
    services.usage.enqueue(event);
    services.log.error({ requestId: ctx.requestId, err: error, usageEvent: event }, 'usage could not be kept in Redis, on the bus or on disk');
  }
}

/** What the recorder books. Amounts are text, since JSON has no 64-bit integers. */
export function usageEvent(ctx: RequestContext, consumption: Consumption, grant: Grant): UsageEvent {
  const { cost, meters, source } = consumption;
  const components = Object.fromEntries(Object.entries(cost.components).map(([name, nano]) => [name, String(nano)]));
  return {
    ...eventHead(ctx, grant.attemptId),
    meters,
    usageSource: source,
    ...(ctx.route?.price ? { priceVersionId: ctx.route.price.id } : {}),
    costNano: cost.totalNano === null ? null : String(cost.totalNano),
    ...(Object.keys(components).length > 0 ? { costComponents: components } : {}),
    holdNano: String(grant.heldNano),
    windows: {
      schedule: grant.schedule,
      tenant: grant.budgets.tenant.windowId,
      ...(grant.budgets.key ? { key: grant.budgets.key.windowId } : {}),
    },
  };
}

/** A request that was refused before anything was granted: a request row without usage. */
export function refusalEvent(ctx: RequestContext, id: string, provider: string): UsageEvent {
  return { ...eventHead(ctx, id), provider, meters: NO_USAGE, usageSource: 'none', costNano: '0' };
}

function eventHead(ctx: RequestContext, id: string) {
  const caller = ctx.caller!;
  const route = ctx.route?.doc;
  return {
    v: 1 as const,
    id,
    requestId: ctx.requestId,
    tenantId: caller.tenant.doc.id,
    apiKeyId: caller.key.doc.id,
    operation: ctx.endpoint.operation,
    modelAlias: ctx.alias,
    ...(route ? { routeId: route.id, providerModel: route.providerModel } : {}),
    provider: route?.provider ?? 'none',
    stream: ctx.parsed?.stream ?? false,
    status: ctx.status,
    ...(ctx.errorCode ? { errorCode: ctx.errorCode } : {}),
    latencyMs: rounded(performance.now() - ctx.startedAt),
    ...(ctx.firstByteMs === undefined ? {} : { ttftMs: rounded(ctx.firstByteMs) }),
    ...(ctx.attempts.length > 1 ? { attempts: ctx.attempts } : {}),
    ...(ctx.idempotency ? { idempotencyKey: ctx.idempotency.key } : {}),
    ...(ctx.traceparent ? { traceparent: ctx.traceparent } : {}),
    endedAtMs: ctx.services.clock.nowMs(),
  };
}

/** Tenths of a millisecond are as exact as anyone reads them. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
