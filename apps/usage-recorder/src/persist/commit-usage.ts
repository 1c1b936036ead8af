import type { UsageEvent } from '@omg/contracts';
import type { BudgetSchedule, NanoUsd } from '@omg/domain';
import {
  addRollups,
  addToTotals,
  createTotals,
  databaseNowMs,
  insertUsage,
  lockTenants,
  readTotals,
  tenantSchedules,
  tenantsWithMissingTotals,
  touchKeys,
  type Booking,
  type BudgetTotal,
  type LedgerDatabase,
  type Transaction,
} from '@omg/storage';
import { bookingsOf, budgetDeltas, isRollingId, rollupDeltas, windowRefs } from './booking.js';

export interface CommitRules {
  timezone: string;
  /** `retention.zero_retention`: no request rows. */
  keepRequests: boolean;
  /** Budget of tenants without one of their own. */
  defaults: (tx: Transaction) => Promise<{ schedule: BudgetSchedule; limitNano: NanoUsd }>;
}

export interface CommitResult {
  /** Events whose usage this commit inserted; the others were there before, or had none. */
  inserted: number;
  /**
   * Totals of all windows that the events count in, as of this commit: absolute, also for events booked before. Those of
   * other schedules are among them when they exist, since Redis may still hold them.
   */
  totals: BudgetTotal[];
}

/** Keys whose use was noted less than this ago are left alone: the time is shown to people. */
const KEY_USE_STEP_MS = 30_000;
const KEYS_MAX = 100_000;

/**
 * Books events exactly once: rows, rollups and budget totals in one transaction, sums only for rows that were really
 * inserted. Safe to repeat with the same events, in any mixture, from any number of recorders at once.
 */
export class UsageLedger {
  private readonly keyUseMs = new Map<string, number>();

  constructor(
    private readonly database: LedgerDatabase,
    private readonly rules: CommitRules,
  ) {}

  async commit(events: readonly UsageEvent[]): Promise<CommitResult> {
    const unique = [...new Map(events.map((event) => [event.id, event])).values()];
    const keyUse = this.dueKeyUse(unique);
    const result = await this.database.transaction((tx) => book(tx, unique, this.rules, keyUse));
    if (this.keyUseMs.size + keyUse.size > KEYS_MAX) this.keyUseMs.clear();
    for (const [keyId, ms] of keyUse) this.keyUseMs.set(keyId, ms);
    return result;
  }

  private dueKeyUse(events: readonly UsageEvent[]): Map<string, number> {
    const due = new Map<string, number>();
    for (const { apiKeyId, endedAtMs } of events) {
      const noted = due.get(apiKeyId) ?? (this.keyUseMs.get(apiKeyId) ?? 0) + KEY_USE_STEP_MS;
      if (endedAtMs > noted) due.set(apiKeyId, endedAtMs);
    }
    return due;
  }
}

async function book(tx: Transaction, events: readonly UsageEvent[], rules: CommitRules, keyUse: ReadonlyMap<string, number>): Promise<CommitResult> {
  const defaults = await rules.defaults(tx);
  const nameless = [...new Set(events.filter((event) => !event.windows).map((event) => event.tenantId))];
  const schedules = await tenantSchedules(tx, nameless);
  const bookings = events.flatMap((event) =>
    bookingsOf(event, { timezone: rules.timezone, scheduleOf: (tenantId) => schedules.get(tenantId) ?? defaults.schedule }),
  );
  const rolling = bookings.some((booking) => isRollingId(booking.windowId));
  const refs = windowRefs(bookings, rules.timezone, rolling ? await databaseNowMs(tx) : 0);
  const locks = new Map(refs.map((ref) => [ref.tenantId, false]));
  if (refs.length > 0) {
    for (const tenantId of await tenantsWithMissingTotals(tx, refs)) locks.set(tenantId, true);
    await lockTenants(tx, locks);
  }
  const inserted = await insertNew(tx, bookings, rules.keepRequests);
  let changed: BudgetTotal[] = [];
  if (inserted.length > 0) {
    await addRollups(tx, rollupDeltas(inserted));
    changed = await addToTotals(tx, budgetDeltas(inserted), defaults.limitNano);
  }
  const creating = refs.filter((ref) => locks.get(ref.tenantId));
  if (creating.length > 0) await createTotals(tx, creating, defaults.limitNano);
  const own = await readTotals(tx, refs);
  const ownNames = new Set(own.map(nameOf));
  await touchKeys(tx, keyUse);
  return {
    inserted: inserted.filter((booking) => booking.attemptOf === undefined).length,
    totals: [...own, ...changed.filter((total) => !ownNames.has(nameOf(total)))],
  };
}

/**
 * Inserts what is not there and returns the bookings whose usage row is new. Rows of further attempts follow the row of their
 * request: where that one was there before, an earlier commit has booked them, or has booked the request as one sum.
 */
async function insertNew(tx: Transaction, bookings: readonly Booking[], keepRequests: boolean): Promise<Booking[]> {
  const requests = bookings.filter((booking) => booking.attemptOf === undefined);
  const ids = await insertUsage(tx, requests, keepRequests);
  if (requests.length < bookings.length) {
    const attempts = bookings.filter((booking) => booking.attemptOf !== undefined && ids.has(booking.attemptOf));
    if (attempts.length > 0) for (const id of await insertUsage(tx, attempts, keepRequests)) ids.add(id);
  }
  return bookings.filter((booking) => booking.billable && ids.has(booking.event.id));
}

function nameOf({ tenantId, apiKeyId, windowId }: BudgetTotal): string {
  return `${tenantId} ${apiKeyId} ${windowId}`;
}
