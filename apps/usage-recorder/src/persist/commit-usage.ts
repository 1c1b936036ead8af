import type { UsageEvent } from '@omg/contracts';
import type { BudgetSchedule, NanoUsd } from '@omg/domain';
import {
  addRollups,
  addToTotals,
  createTotals,
  databaseNowMs,
  deleteEmptyRollups,
  insertUsage,
  lockEstimates,
  lockTenants,
  readTotals,
  replaceEstimates,
  TENANT_SCOPE,
  tenantSchedules,
  tenantsToEvaluate,
  tenantsWithMissingTotals,
  toldOtherwise,
  touchKeys,
  type AddedTotal,
  type AlertDefaults,
  type Booking,
  type BudgetTotal,
  type LedgerDatabase,
  type ReplacedUsage,
  type Transaction,
  type WindowRef,
} from '@omg/database';
import { KnownTotals, TotalsGone } from './known-totals.js';
import {
  bookingsOf,
  budgetDeltas,
  contributionOf,
  hadHold,
  isReaped,
  isRollingId,
  nameOf,
  ofNothing,
  rollupDeltas,
  windowRefs,
  type NamedWindow,
} from './booking.js';

export interface CommitRules {
  timezone: string;
  /** `retention.zero_retention`: no request rows. */
  keepRequests: boolean;
  /** Budget of tenants without one of their own. */
  defaults: (tx: Transaction) => Promise<{ schedule: BudgetSchedule; limitNano: NanoUsd; warningThreshold: number }>;
}

export interface CommitResult {
  /** Events whose usage this commit inserted; the others were there before, or had none. */
  inserted: number;
  /** Estimates of the reaper whose place an exact event took. */
  corrected: number;
  /**
   * What Redis has to be told: the totals after this commit of every window that the events count in, also of events that were booked
   * before. Totals of other schedules are among them where they exist, since Redis may still hold them. Keys without a budget are left
   * out: Redis counts nothing for them.
   */
  totals: BudgetTotal[];
  /** Tenants whose spend calls for a look: near or above their limit, or told so before. */
  toEvaluate: ReadonlySet<string>;
}

/** Keys whose use was noted less than this ago are left alone: the time is shown to people. */
const KEY_USE_STEP_MS = 5 * 60_000;
const KEYS_MAX = 200_000;

/**
 * Books events exactly once: rows, rollups and budget totals in one transaction, sums only for rows that were really
 * inserted. Safe to repeat with the same events, in any mixture, from any number of recorders at once.
 *
 * The one thing that changes a row is the event of an edge that the reaper had taken for dead: it takes the place of the
 * reaper's estimate, whichever of the two comes first.
 */
export class UsageLedger {
  private readonly keyUseMs = new Map<string, number>();
  private readonly known = new KnownTotals();

  constructor(
    private readonly database: LedgerDatabase,
    private readonly rules: CommitRules,
  ) {}

  async commit(events: readonly UsageEvent[]): Promise<CommitResult> {
    const unique = uniqueById(events);
    const keyUse = this.dueKeyUse(unique);
    const { refs, ...result } = await this.book(unique, keyUse).catch((error: unknown) => {
      if (!(error instanceof TotalsGone)) throw error;
      this.known.forget();
      return this.book(unique, keyUse);
    });
    this.known.remember(refs);
    if (this.keyUseMs.size + keyUse.size > KEYS_MAX) this.keyUseMs.clear();
    for (const [keyId, ms] of keyUse) this.keyUseMs.set(keyId, ms);
    return result;
  }

  private book(events: readonly UsageEvent[], keyUse: ReadonlyMap<string, number>): Promise<Booked> {
    return this.database.transaction((tx) => book(tx, events, this.rules, this.known, keyUse), { byIndex: true });
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

/** Of an estimate and its edge's own event in one commit, the estimate is left out. */
function uniqueById(events: readonly UsageEvent[]): UsageEvent[] {
  const unique = new Map<string, UsageEvent>();
  for (const event of events) if (!isReaped(event) || !unique.has(event.id)) unique.set(event.id, event);
  return [...unique.values()];
}

interface Booked extends CommitResult {
  /** All windows that the events count in. */
  refs: NamedWindow[];
}

async function book(
  tx: Transaction,
  events: readonly UsageEvent[],
  rules: CommitRules,
  known: KnownTotals,
  keyUse: ReadonlyMap<string, number>,
): Promise<Booked> {
  const defaults = await rules.defaults(tx);
  const nameless = [...new Set(events.filter((event) => !event.windows).map((event) => event.tenantId))];
  const schedules = await tenantSchedules(tx, nameless);
  const bookings = events.flatMap((event) =>
    bookingsOf(event, { timezone: rules.timezone, scheduleOf: (tenantId) => schedules.get(tenantId) ?? defaults.schedule }),
  );
  const rolling = bookings.some((booking) => isRollingId(booking.windowId));
  const refs = windowRefs(bookings, rules.timezone, rolling ? await databaseNowMs(tx) : 0);
  const creating = await lockFor(tx, bookings, refs, known.unknown(refs));
  const { added, replaced, inserted, corrected } = await writeRows(tx, bookings, rules.keepRequests);
  // Before the sums: those lock rows which every other commit of the same tenants waits for, so what can be done first is.
  await touchKeys(tx, keyUse, KEY_USE_STEP_MS);
  const keysWithBudget = new Set(events.filter((event) => event.windows?.key !== undefined).map((event) => event.apiKeyId));
  const isWanted = ({ apiKeyId }: Pick<WindowRef, 'apiKeyId'>): boolean => apiKeyId === TENANT_SCOPE || keysWithBudget.has(apiKeyId);
  let changed: AddedTotal[] = [];
  if (added.length > 0) {
    const contributions = added.map(contributionOf);
    await addRollups(tx, rollupDeltas(contributions, replaced));
    if (replaced.length > 0) await deleteEmptyRollups(tx, replaced);
    changed = await addToTotals(tx, budgetDeltas(contributions, replaced), defaults, isWanted);
  }
  if (creating.length > 0) await createTotals(tx, creating, defaults.limitNano);
  return { refs, inserted, corrected, ...(await tell(tx, refs.filter(isWanted), changed, creating.length > 0, defaults)) };
}

/** What Redis and the alerts must hear: what this commit changed, and what it found already booked or has only now created. */
async function tell(
  tx: Transaction,
  refs: readonly NamedWindow[],
  changed: readonly AddedTotal[],
  created: boolean,
  defaults: AlertDefaults,
): Promise<Pick<CommitResult, 'totals' | 'toEvaluate'>> {
  const current = new Map(created ? [] : changed.map((total) => [nameOf(total), total]));
  const others = refs.filter((ref) => !current.has(ref.name));
  const totals = await readTotals(tx, others);
  if (totals.length < others.length) throw new TotalsGone();
  const otherNames = new Set(totals.map(nameOf));
  const toEvaluate = await tenantsToEvaluate(
    tx,
    others.filter(({ apiKeyId }) => apiKeyId === TENANT_SCOPE),
    defaults,
  );
  for (const ref of refs) if (current.get(ref.name)?.toEvaluate) toEvaluate.add(ref.tenantId);
  return { totals: [...totals, ...changed.filter((total) => !otherNames.has(nameOf(total)))], toEvaluate };
}

/**
 * Takes the tenants' locks and returns the windows of tenants of whom a total is missing. Those tenants are locked exclusively, and
 * those of the reaper's estimates: an estimate must see what its edge told, and the edge's event must see the estimate.
 */
async function lockFor(tx: Transaction, bookings: readonly Booking[], refs: readonly WindowRef[], unknown: readonly WindowRef[]): Promise<WindowRef[]> {
  const locks = new Map<string, boolean>();
  for (const { event } of bookings) if (hadHold(event)) locks.set(event.tenantId, locks.get(event.tenantId) === true || isReaped(event));
  for (const { tenantId } of refs) if (!locks.has(tenantId)) locks.set(tenantId, false);
  if (locks.size === 0) return [];
  const missing = new Set(unknown.length > 0 ? await tenantsWithMissingTotals(tx, unknown) : []);
  for (const tenantId of missing) locks.set(tenantId, true);
  await lockTenants(tx, locks);
  return refs.filter(({ tenantId }) => missing.has(tenantId));
}

interface Written {
  /** Rows that count now and did not before. */
  added: Booking[];
  /** Rows that counted before and do not any more. */
  replaced: ReplacedUsage[];
  inserted: number;
  corrected: number;
}

/**
 * Inserts the rows; where an estimate of the reaper stands in the way of an edge's own event, puts that in its place. Rows of further
 * attempts follow the row of their request: where that one was there before, an earlier commit has booked them, or has booked
 * the request as one sum.
 */
async function writeRows(tx: Transaction, bookings: readonly Booking[], keepRequests: boolean): Promise<Written> {
  const valid = await withoutOutdated(tx, bookings);
  const requests = valid.filter(({ attemptOf }) => attemptOf === undefined);
  const insertedIds = await insertUsage(tx, requests, keepRequests);
  const inserted = requests.filter(({ event, billable }) => billable && insertedIds.has(event.id));
  const { correct, replaced } = await correctEstimates(
    tx,
    requests.filter(({ event }) => !insertedIds.has(event.id) && hadHold(event) && !isReaped(event)),
  );
  const added = [...inserted, ...correct];
  if (requests.length < valid.length) {
    const newIds = new Set(added.map(({ event }) => event.id));
    const attempts = valid.filter(({ attemptOf }) => attemptOf !== undefined && newIds.has(attemptOf));
    const attemptIds = attempts.length > 0 ? await insertUsage(tx, attempts, keepRequests) : new Set();
    added.push(...attempts.filter(({ event }) => attemptIds.has(event.id)));
  }
  return { added, replaced, inserted: inserted.length, corrected: correct.length };
}

/** Leaves out estimates of calls whose edge has told their end. */
async function withoutOutdated(tx: Transaction, bookings: readonly Booking[]): Promise<readonly Booking[]> {
  const reaped = bookings.filter(({ event }) => isReaped(event));
  if (reaped.length === 0) return bookings;
  const outdated = await toldOtherwise(tx, reaped);
  return outdated.size === 0 ? bookings : bookings.filter(({ event }) => !(isReaped(event) && outdated.has(event.id)));
}

/** `candidates`: bookings of events that inserted no row. Returns those that took an estimate's place, and what it had counted as. */
async function correctEstimates(tx: Transaction, candidates: readonly Booking[]): Promise<{ correct: Booking[]; replaced: ReplacedUsage[] }> {
  const replaced = candidates.length > 0 ? await lockEstimates(tx, candidates) : [];
  if (replaced.length === 0) return { correct: [], replaced };
  const replacedIds = new Set(replaced.map(({ id }) => id));
  const own = candidates.filter(({ event }) => replacedIds.has(event.id));
  const consumedIds = new Set(own.filter(({ billable }) => billable).map(({ event }) => event.id));
  const rows = own.map((booking) => (consumedIds.has(booking.event.id) ? booking : ofNothing(booking)));
  await replaceEstimates(tx, rows);
  return { correct: rows.filter(({ billable }) => billable), replaced };
}
