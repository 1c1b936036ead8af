import { encodeUsageEvent } from '@omg/contracts';
import { NO_USAGE, costOf, estimateTokens, totalTokens, type Meters, type UsageSource } from '@omg/domain';
import type { StreamProgress } from '@omg/providers';
import type { Consumption, RequestContext } from '../context.js';
import { billedAttempts, usageEvent } from '../usage-event.js';

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
    const outputTokens = operation === 'chat' ? estimateTokens(seen.outputBytes) : 0;
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
