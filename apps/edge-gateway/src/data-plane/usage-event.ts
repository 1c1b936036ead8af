import type { AttemptEvent, UsageEvent } from '@omg/contracts';
import { NO_USAGE, addMeters, uuidV7, type Cost, type CostComponent } from '@omg/domain';
import type { Billed, Consumption, Grant, RequestContext } from './context.js';

/**
 * Each attempt's bill in the order of the attempts, where one before the last was billed: then every billed attempt gets a
 * usage row of its own. Undefined: the usual case, one row for the last attempt.
 */
export function billedAttempts(ctx: RequestContext, last: Consumption): (Billed | undefined)[] | undefined {
  if (ctx.attempts.length < 2) return undefined;
  const earlier = ctx.attempts.slice(0, -1).map((attempt) => attempt.billed);
  if (!earlier.some((entry) => entry !== undefined)) return undefined;
  return [...earlier, last.source === 'none' ? undefined : { consumption: last, priceVersionId: ctx.route?.price?.id }];
}

/** What the recorder books. Amounts are text, since JSON has no 64-bit integers. */
export function usageEvent(ctx: RequestContext, consumption: Consumption, billed: (Billed | undefined)[] | undefined, grant: Grant): UsageEvent {
  const known = billed?.filter((entry) => entry !== undefined);
  const { meters, source, cost } = known ? sumOf(known.map((entry) => entry.consumption)) : consumption;
  return {
    ...eventHead(ctx, grant.attemptId),
    ...(ctx.attempts.length > 1 ? { attempts: attemptEvents(ctx, billed, grant) } : {}),
    meters,
    usageSource: source,
    // A sum over several prices has none.
    ...(ctx.route?.price && !known ? { priceVersionId: ctx.route.price.id } : {}),
    ...costText(cost),
    holdNano: String(grant.heldNano),
    windows: {
      schedule: grant.schedule,
      tenant: grant.budgets.tenant.windowId,
      ...(grant.budgets.key ? { key: grant.budgets.key.windowId } : {}),
    },
  };
}

function costText({ totalNano, components }: Cost): Pick<UsageEvent, 'costNano' | 'costComponents'> {
  const text = Object.fromEntries(Object.entries(components).map(([name, nano]) => [name, String(nano)]));
  return { costNano: totalNano === null ? null : String(totalNano), ...(Object.keys(text).length > 0 ? { costComponents: text } : {}) };
}

function attemptEvents(ctx: RequestContext, billed: (Billed | undefined)[] | undefined, grant: Grant): AttemptEvent[] {
  const last = billed?.findLastIndex((entry) => entry !== undefined);
  return ctx.attempts.map(({ route, status, errorCode, latencyMs }, index) => {
    const attempt: AttemptEvent = { routeId: route.id, provider: route.provider, status, latencyMs: rounded(latencyMs) };
    if (errorCode !== undefined) attempt.errorCode = errorCode;
    const bill = billed?.[index];
    if (bill === undefined) return attempt;
    const { meters, source, cost } = bill.consumption;
    attempt.usage = {
      ...(index === last ? {} : { id: uuidV7(grant.admittedAtMs, ctx.services.random(10)) }),
      providerModel: route.providerModel,
      meters,
      usageSource: source === 'provider' ? source : 'estimate',
      ...(bill.priceVersionId === undefined ? {} : { priceVersionId: bill.priceVersionId }),
      ...costText(cost),
    };
    return attempt;
  });
}

function sumOf(parts: readonly Consumption[]): Consumption {
  const meters = parts.map((part) => part.meters).reduce(addMeters);
  const components: Cost['components'] = {};
  let totalNano: Cost['totalNano'] = 0n;
  for (const { cost } of parts) {
    totalNano = totalNano === null || cost.totalNano === null ? null : totalNano + cost.totalNano;
    for (const [name, nano] of Object.entries(cost.components)) components[name as CostComponent] = (components[name as CostComponent] ?? 0n) + nano;
  }
  return { meters, source: parts.every((part) => part.source === 'provider') ? 'provider' : 'estimate', cost: { totalNano, components } };
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
    ...(ctx.idempotency ? { idempotencyKey: ctx.idempotency.key } : {}),
    ...(ctx.traceparent ? { traceparent: ctx.traceparent } : {}),
    endedAtMs: ctx.services.clock.nowMs(),
  };
}

/** Tenths of a millisecond are as exact as anyone reads them. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
