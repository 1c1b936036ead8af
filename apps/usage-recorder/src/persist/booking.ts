import { ATTEMPT_LOST, type AttemptEvent, type UsageEvent } from '@omg/contracts';
import { budgetWindow, budgetWindowById, parseBudgetSchedule, rollingDays, totalTokens, uuidV7UnixMs, type BudgetSchedule } from '@omg/domain';
import { TENANT_SCOPE, type Booking, type BudgetDelta, type ReplacedUsage, type RollupDelta, type WindowRef } from '@omg/database';

/**
 * Where an event counts. Its rows lie in the partition of the id's time. It is booked in the budget window of its
 * admission, which Redis's clock decided: when the edge's clock says otherwise, the booked time is moved into that window,
 * so that rollups, totals and rows agree whatever an edge's clock shows.
 */

export const BUCKET_MS = 15 * 60_000;
const DAY_MS = 86_400_000;

export interface BookingRules {
  /** `reporting.timezone`. */
  timezone: string;
  /** Schedule of a tenant whose event does not name its window. */
  scheduleOf: (tenantId: string) => BudgetSchedule;
}

/** Budget window that an event counts in; bounds are undefined for rolling windows, which move with the clock. */
interface AdmissionWindow {
  id: string;
  bounds?: { startMs: number; endMs: number };
}

/**
 * The bookings of an event: one, or, where the provider billed an attempt that did not answer, the request's row and a usage
 * row for each billed attempt. They share the event's time and window.
 */
export function bookingsOf(event: UsageEvent, rules: BookingRules): Booking[] {
  const whole = bookingOf(event, rules);
  const billed = event.attempts?.filter((attempt) => attempt.usage !== undefined);
  if (billed === undefined || billed.length === 0) return [whole];
  const last = billed.length - 1;
  const rows = billed.map((attempt, index) => attemptBooking(whole, attempt, index === last ? event.id : (attempt.usage!.id ?? event.id)));
  return [{ ...whole, billable: false }, ...rows];
}

function attemptBooking(whole: Booking, attempt: AttemptEvent, id: string): Booking {
  const { event } = whole;
  const usage = attempt.usage!;
  const own: UsageEvent = {
    ...event,
    id,
    routeId: attempt.routeId,
    provider: attempt.provider,
    providerModel: usage.providerModel,
    meters: usage.meters,
    usageSource: usage.usageSource,
    priceVersionId: usage.priceVersionId,
    costNano: usage.costNano,
    costComponents: usage.costComponents,
  };
  return { ...whole, event: own, attemptOf: id === event.id ? undefined : event.id, withRequest: false, billable: true };
}

function bookingOf(event: UsageEvent, rules: BookingRules): Booking {
  const tsMs = uuidV7UnixMs(event.id);
  const window = windowOf(event, tsMs, rules);
  const bounds = window.bounds;
  return {
    event,
    attemptOf: undefined,
    withRequest: true,
    tsMs,
    bookedAtMs: bounds ? Math.min(Math.max(tsMs, bounds.startMs), bounds.endMs - 1) : tsMs,
    billable: isBillable(event),
    windowId: window.id,
  };
}

/** A usage row is written whenever somebody counted, or anything was produced: refusals and failed calls have none. */
export function isBillable(event: UsageEvent): boolean {
  const { meters } = event;
  const units = totalTokens(meters) + (meters.images ?? 0) + (meters.audioSeconds ?? 0) + (meters.characters ?? 0);
  return event.usageSource !== 'none' || units > 0 || (event.costNano !== null && event.costNano !== '0');
}

/** Refusals (budget, limits, no route) never held anything; a flood of them must not become a flood of look-ups. */
export function hadHold(event: UsageEvent): boolean {
  return event.holdNano !== undefined || event.windows !== undefined || event.usageSource !== 'none';
}

/** The reaper's guess at a call whose edge it took for dead. */
export function isReaped(event: UsageEvent): boolean {
  return event.errorCode === ATTEMPT_LOST;
}

/** The booking that takes an estimate's place when its call turns out to have consumed nothing: a row of zero. */
export function ofNothing(booking: Booking): Booking {
  const { priceVersionId: _, ...event } = booking.event;
  return { ...booking, event: { ...event, costNano: '0', costComponents: {} }, billable: true };
}

function windowOf(event: UsageEvent, tsMs: number, rules: BookingRules): AdmissionWindow {
  if (event.windows) {
    const id = event.windows.tenant;
    const schedule = parseBudgetSchedule(id);
    if (schedule !== undefined && rollingDays(schedule) !== undefined) return { id: schedule };
    const named = windowById(id, rules.timezone);
    if (named) return { id, bounds: named };
  }
  const window = budgetWindow(rules.scheduleOf(event.tenantId), rules.timezone, tsMs);
  return rollingDays(window.schedule) === undefined ? { id: window.id, bounds: window } : { id: window.id };
}

// Every event of a month names the same few windows, and computing bounds in a timezone is slow.
const WINDOWS_MAX = 1_000;
const windows = new Map<string, { startMs: number; endMs: number } | undefined>();

function windowById(id: string, timezone: string): { startMs: number; endMs: number } | undefined {
  const name = `${timezone} ${id}`;
  if (windows.has(name)) return windows.get(name);
  const window = budgetWindowById(id, timezone);
  if (windows.size >= WINDOWS_MAX) windows.clear();
  windows.set(name, window && { startMs: window.startMs, endMs: window.endMs });
  return windows.get(name);
}

/**
 * The slot of a rolling window: all buckets that overlap the last N x 24 hours. It stays the same for 15 minutes, during
 * which a total only grows; the oldest bucket counts until its last minute has left the window, so that nothing that the
 * window holds is ever forgotten.
 */
export function rollingSlot(days: number, nowMs: number): { startMs: number; endMs: number } {
  const slotStart = Math.floor(nowMs / BUCKET_MS) * BUCKET_MS;
  return { startMs: slotStart - days * DAY_MS, endMs: slotStart + BUCKET_MS };
}

/** A window's bounds now, in Postgres's time; undefined for an id that no schedule produces. */
export function boundsOf(windowId: string, timezone: string, nowMs: number): { startMs: number; endMs: number } | undefined {
  const schedule = parseBudgetSchedule(windowId);
  const days = schedule && rollingDays(schedule);
  return days === undefined ? windowById(windowId, timezone) : rollingSlot(days, nowMs);
}

export function isRollingId(windowId: string): boolean {
  return windowId.startsWith('rolling_');
}

/** A window with its name, which many look-ups share: making and hashing it costs more than they do. */
export interface NamedWindow extends WindowRef {
  name: string;
}

export function nameOf({ tenantId, apiKeyId, windowId }: Pick<WindowRef, 'tenantId' | 'apiKeyId' | 'windowId'>): string {
  return `${tenantId} ${apiKeyId} ${windowId}`;
}

/** The windows that the bookings count in, each once: the tenant's and the key's. */
export function windowRefs(bookings: readonly Booking[], timezone: string, nowMs: number): NamedWindow[] {
  const refs = new Map<string, NamedWindow>();
  for (const { event, windowId, billable } of bookings) {
    if (!billable) continue;
    for (const apiKeyId of [TENANT_SCOPE, event.apiKeyId]) {
      const name = nameOf({ tenantId: event.tenantId, apiKeyId, windowId });
      if (refs.has(name)) continue;
      const bounds = boundsOf(windowId, timezone, nowMs);
      if (bounds) refs.set(name, { name, tenantId: event.tenantId, apiKeyId, windowId, startMs: bounds.startMs, endMs: bounds.endMs });
    }
  }
  return [...refs.values()];
}

/** What one usage row adds to the sums that are kept beside it. */
export type Contribution = Pick<ReplacedUsage, 'tenantId' | 'apiKeyId' | 'modelAlias' | 'provider' | 'bookedAtMs' | 'requests' | 'meters' | 'costNano'>;

export function contributionOf({ event, attemptOf, bookedAtMs }: Booking): Contribution {
  const { tenantId, apiKeyId, modelAlias, provider, meters } = event;
  // An attempt beside the one that stands for the request is cost without a request of its own.
  const requests = attemptOf === undefined ? 1 : 0;
  return { tenantId, apiKeyId, modelAlias, provider, bookedAtMs, requests, meters, costNano: event.costNano === null ? null : BigInt(event.costNano) };
}

/** Sums per bucket, key, model and provider: what rows add that are new, less what rows had added that were replaced. */
export function rollupDeltas(added: readonly Contribution[], replaced: readonly Contribution[] = []): RollupDelta[] {
  const deltas = new Map<string, RollupDelta>();
  const count = ({ tenantId, apiKeyId, modelAlias, provider, bookedAtMs, requests, meters, costNano }: Contribution, sign: 1 | -1): void => {
    const bucketMs = bucketOf(bookedAtMs);
    // The length tells where the provider ends, whatever the two names hold.
    const name = `${tenantId} ${bucketMs} ${apiKeyId} ${provider.length} ${provider}${modelAlias}`;
    let delta = deltas.get(name);
    if (!delta) {
      const none = { requests: 0, inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0, images: 0, costNano: 0n, unpriced: 0 };
      deltas.set(name, (delta = { bucketMs, tenantId, apiKeyId, modelAlias, provider, ...none }));
    }
    delta.requests += sign * requests;
    delta.inputTokens += sign * meters.inputTokens;
    delta.outputTokens += sign * meters.outputTokens;
    delta.cachedInputTokens += sign * (meters.cachedInputTokens ?? 0);
    delta.reasoningTokens += sign * (meters.reasoningTokens ?? 0);
    delta.images += sign * (meters.images ?? 0);
    if (costNano === null) delta.unpriced += sign;
    else delta.costNano += BigInt(sign) * costNano;
  };
  for (const one of added) count(one, 1);
  for (const one of replaced) count(one, -1);
  return [...deltas.values()];
}

/** What the same rows add to their tenants' and keys' totals, per bucket. */
export function budgetDeltas(added: readonly Contribution[], replaced: readonly Contribution[] = []): BudgetDelta[] {
  const deltas = new Map<string, BudgetDelta>();
  const count = ({ tenantId, apiKeyId: keyId, bookedAtMs, requests, meters, costNano }: Contribution, sign: 1 | -1): void => {
    const bucketMs = bucketOf(bookedAtMs);
    for (const apiKeyId of [TENANT_SCOPE, keyId]) {
      const name = `${tenantId} ${apiKeyId} ${bucketMs}`;
      let delta = deltas.get(name);
      if (!delta) deltas.set(name, (delta = { tenantId, apiKeyId, bucketMs, costNano: 0n, requests: 0, tokens: 0 }));
      delta.costNano += BigInt(sign) * (costNano ?? 0n);
      delta.requests += sign * requests;
      delta.tokens += sign * totalTokens(meters);
    }
  };
  for (const one of added) count(one, 1);
  for (const one of replaced) count(one, -1);
  return [...deltas.values()];
}

function bucketOf(ms: number): number {
  return Math.floor(ms / BUCKET_MS) * BUCKET_MS;
}
