import { encodeUsageEvent, type AttemptEvent, type UsageEvent } from '@omg/contracts';
import { NO_USAGE, addMeters, costOf, estimateTokens, totalTokens, uuidV7, type Cost, type CostComponent, type Meters, type UsageSource } from '@omg/domain';
import type { StreamProgress } from '@omg/providers';
import type { Billed, Consumption, Grant, RequestContext } from '../context.js';

/** More than any call can have. A count beyond it is a server's fault, and could not be added up in Redis and Postgres. */
const COUNT_MAX = 1_000_000_000;

function isCount(value: unknown, name: string): boolean {
  if (typeof value !== 'number') return true;
  return value >= 0 && value <= COUNT_MAX && (name === 'audioSeconds' || Number.isInteger(value));
}

/** The provider's counts, unless one of them cannot be. */
function credible<M extends Partial<Meters>>(ctx: RequestContext, meters: M | undefined): M | undefined {
  for (const name in meters) {
    if (isCount(meters[name], name)) continue;
    ctx.services.log.warn({ requestId: ctx.requestId, routeId: ctx.route?.doc.id }, 'the provider told counts that cannot be; the usage is estimated');
    return undefined;
  }
  return meters;
}

/**
 * Meters of an answer: the provider's where it told them; else an estimate from the text that was produced, marked as
 * such. An answer that broke off before anything was produced has still been charged its input by the provider; where the
 * provider told that input, cached parts included, before the end, it is exact.
 */
export function consumptionOf(ctx: RequestContext, seen: StreamProgress): Consumption {
  const operation = ctx.endpoint.operation;
  let meters: Meters;
  let source: UsageSource;
  const told = credible(ctx, seen.meters);
  if (told) {
    meters = told;
    source = 'provider';
  } else {
    const outputTokens = operation === 'chat' ? estimateTokens(seen.outputChars) : 0;
    meters = { ...(credible(ctx, seen.inputMeters) ?? { inputTokens: ctx.parsed!.inputTokensEstimate }), outputTokens };
    source = 'estimate';
  }
  const cost = costOf(ctx.route?.price, meters, operation);
  if (cost.standInTier) tellStandIn(ctx, meters);
  return { meters, source, cost };
}

const STAND_INS_MAX = 1_000;
const standInsTold = new Set<string>();

/** The dearest tier was booked since none fits what was asked for: told once per price, the catalog entry needs one more tier. */
function tellStandIn(ctx: RequestContext, { imageSize, imageQuality }: Meters): void {
  const { id } = ctx.route!.price!;
  if (standInsTold.has(id)) return;
  if (standInsTold.size >= STAND_INS_MAX) standInsTold.clear();
  standInsTold.add(id);
  const fields = { requestId: ctx.requestId, model: ctx.alias, routeId: ctx.route!.doc.id, priceVersionId: id, imageSize, imageQuality };
  ctx.services.log.warn(fields, 'no pricing tier fits; the dearest one was booked');
}

export const NOTHING_CONSUMED: Consumption = Object.freeze({ meters: NO_USAGE, source: 'none', cost: { totalNano: 0n, components: {} } });

/**
 * The END of the request leaves the process: one Redis call turns the hold into the cost, corrects the token window,
 * frees the lease and stores the event. Without Redis the bus's acknowledgement takes its place, then the spool file.
 * Runs exactly once per granted request, on every path, and is not cancelled by the client's leaving. `consumption` is the
 * last attempt's; what earlier attempts were billed is added here.
 */
export async function settle(ctx: RequestContext, consumption: Consumption): Promise<void> {
  const { grant, services } = ctx;
  if (!grant || ctx.event) return;
  const billed = billedAttempts(ctx, consumption);
  const event = usageEvent(ctx, consumption, billed, grant);
  ctx.event = event;
  // Serialised once: the same text goes to Redis, to the bus, and to the spool when there is nothing else.
  const encoded = encodeUsageEvent(event);
  const tokens = totalTokens(event.meters);
  let costNano = consumption.cost.totalNano ?? 0n;
  // What has no price adds nothing, as in the books.
  if (billed) costNano = billed.reduce((sum, entry) => sum + (entry?.consumption.cost.totalNano ?? 0n), 0n);
  if (grant.local) services.fallback.settle(grant.local, tokens, costNano, services.clock.nowMs());
  const settlement = {
    attemptId: grant.attemptId,
    tenantId: event.tenantId,
    keyId: event.apiKeyId,
    tokens,
    costNano,
    event: encoded.json,
    budgets: grant.budgets,
  };
  if (grant.inRedis) {
    try {
      const result = await services.admission.settle(settlement);
      if (ctx.admission) ctx.admission = { ...ctx.admission, budgets: result.budgets };
      if (result.isStored) {
        services.usage.enqueue(encoded);
        return;
      }
      // The reaper took this process for dead, and Redis keeps its estimate: the exact end is nowhere else yet.
    } catch (error) {
      services.log.warn({ requestId: ctx.requestId, err: error }, 'settlement not possible in Redis; the event goes to the bus');
    }
  } else {
    // Redis did not answer at admission: this client does not wait for it a second time. Where it is back, or where the
    // admission was carried out after all, the cost is owed until the event is booked.
    void services.admission.settle(settlement).catch(() => undefined);
  }
  try {
    await services.usage.publishDurably(encoded);
  } catch (error) {
    // The answer is paid for and goes out. Its usage waits in memory for the bus, the log is the last copy, and new
    // requests are refused until one store is back.
    services.usage.enqueue(encoded);
    services.log.error({ requestId: ctx.requestId, err: error, usageEvent: event }, 'usage could not be kept in Redis, on the bus or on disk');
  }
}

/**
 * Each attempt's bill in the order of the attempts, where one before the last was billed: then every billed attempt gets a
 * usage row of its own. Undefined: the usual case, one row for the last attempt.
 */
function billedAttempts(ctx: RequestContext, last: Consumption): (Billed | undefined)[] | undefined {
  if (ctx.attempts.length < 2) return undefined;
  const earlier = ctx.attempts.slice(0, -1).map((attempt) => attempt.billed);
  if (!earlier.some((entry) => entry !== undefined)) return undefined;
  return [...earlier, last.source === 'none' ? undefined : { consumption: last, priceVersionId: ctx.route?.price?.id }];
}

/** What the recorder books. Amounts are text, since JSON has no 64-bit integers. */
function usageEvent(ctx: RequestContext, consumption: Consumption, billed: (Billed | undefined)[] | undefined, grant: Grant): UsageEvent {
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
