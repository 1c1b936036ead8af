import type { BudgetEvaluationJob, DeadLetterReason, UsageEvent } from '@omg/contracts';
import { uuidV7UnixMs } from '@omg/domain';
import { parseTraceparent } from '@omg/service-kit';
import { TENANT_SCOPE, isRefusedByDatabase, type BudgetTotal } from '@omg/database';
import { type BudgetTotalSeed, type LedgerStore } from '@omg/storage';
import { type JobQueue } from '@omg/storage/queues';
import { hadHold, isRollingId } from '../persist/booking.js';
import type { CommitResult, UsageLedger } from '../persist/commit-usage.js';
import { GroupCommitter } from '../persist/group-committer.js';
import { persistently, type RetryOptions } from '../retry.js';

/**
 * From decoded events to "done": commit, release in Redis, note the tenants whose budgets call for a look. In this order, and repeatable
 * from the start after a crash anywhere: a repeated commit inserts nothing, a repeated release finds nothing, and the
 * totals are absolute.
 */

/** One event under way. `refused` is set when it can never be booked; its neighbours are booked all the same. */
export interface Entry {
  event: UsageEvent;
  refused?: { reason: DeadLetterReason; detail: string };
}

export interface BookkeeperParts {
  ledger: UsageLedger;
  store: Pick<LedgerStore, 'release'>;
  evaluations: Pick<JobQueue<BudgetEvaluationJob>, 'addLatest'>;
  observer: BookkeeperObserver;
}

export interface BookkeeperObserver {
  committed(events: readonly UsageEvent[], result: Pick<CommitResult, 'inserted' | 'corrected'>, seconds: number): void;
  /** Postgres or Redis did not answer; the same work is tried again after the pause. */
  waiting(step: 'commit' | 'release', error: unknown, pauseMs: number): void;
}

export interface BookkeeperOptions {
  /** Events in one transaction. */
  groupEventsMax: number;
  /** Events of one lane of tenants that get a transaction of their own. */
  groupEventsMin: number;
  /** Transactions under way. */
  groupsMax: number;
  /** Rows older than this may be gone, so an event as old could be booked twice. */
  usageKeptMs: () => number;
  nowMs: () => number;
  /** Ends the waiting for Postgres or Redis; what was not done stays in the queue. */
  signal: AbortSignal;
}

type Told = Pick<CommitResult, 'totals' | 'toEvaluate'>;

/** A busy tenant has many commits per second and needs one look at its budget for all of them. */
const EVALUATE_AFTER_MS = 1_000;
/** How long a few events wait for more of their tenants while others are committed: for a busy tenant's neighbours. */
const GROUP_WAIT_MS = 100;

export class Bookkeeper {
  private readonly groups: GroupCommitter<Entry>;

  constructor(
    private readonly parts: BookkeeperParts,
    private readonly options: BookkeeperOptions,
  ) {
    this.groups = new GroupCommitter((entries) => this.bookGroup(entries), {
      itemsMax: options.groupEventsMax,
      itemsMin: options.groupEventsMin,
      waitMsMax: GROUP_WAIT_MS,
      nowMs: options.nowMs,
      lanes: options.groupsMax,
      laneOf: ({ event }) => laneOf(event.tenantId),
    });
  }

  /** Resolves when all entries are in Postgres and released in Redis, or marked as refused. Rejects only at shutdown. */
  async book(entries: readonly Entry[]): Promise<void> {
    const oldest = this.options.nowMs() - this.options.usageKeptMs();
    for (const entry of entries) {
      if (uuidV7UnixMs(entry.event.id) < oldest) entry.refused = { reason: 'too_old', detail: 'older than the usage rows that are kept' };
    }
    const bookable = entries.filter((entry) => !entry.refused);
    if (bookable.length > 0) await this.groups.submit(bookable);
  }

  private async bookGroup(entries: Entry[]): Promise<void> {
    const { totals, toEvaluate } = await this.commit(entries);
    const booked = entries.filter((entry) => !entry.refused).map((entry) => entry.event);
    await persistently(() => this.release(booked, totals, toEvaluate), this.retries('release'));
  }

  /** Commits all entries; when Postgres refuses the values, halves tell which entry is to blame. */
  private async commit(entries: Entry[]): Promise<Told> {
    const started = performance.now();
    let result: CommitResult;
    try {
      const events = entries.map((entry) => entry.event);
      result = await persistently(() => this.parts.ledger.commit(events), { ...this.retries('commit'), isFinal: isPoison });
      this.parts.observer.committed(events, result, (performance.now() - started) / 1_000);
      return result;
    } catch (error) {
      if (!isPoison(error)) throw error;
      if (entries.length === 1) {
        entries[0]!.refused = { reason: 'refused_by_database', detail: describe(error) };
        return { totals: [], toEvaluate: new Set() };
      }
      const middle = entries.length >> 1;
      const [left, right] = [await this.commit(entries.slice(0, middle)), await this.commit(entries.slice(middle))];
      return { totals: [...left.totals, ...right.totals], toEvaluate: new Set([...left.toEvaluate, ...right.toEvaluate]) };
    }
  }

  private async release(events: readonly UsageEvent[], totals: readonly BudgetTotal[], toEvaluate: ReadonlySet<string>): Promise<void> {
    const byTenant = Map.groupBy(events, (event) => event.tenantId);
    const totalsByTenant = Map.groupBy(totals, (total) => total.tenantId);
    await Promise.all(
      [...byTenant].map(([tenantId, own]) => {
        const keysWithBudget = new Set(own.filter((event) => event.windows?.key !== undefined).map((event) => event.apiKeyId));
        const seeds = (totalsByTenant.get(tenantId) ?? []).filter((total) => total.apiKeyId === TENANT_SCOPE || keysWithBudget.has(total.apiKeyId)).map(toSeed);
        return this.parts.store.release(
          tenantId,
          own.filter(hadHold).map((event) => event.id),
          seeds,
        );
      }),
    );
    await Promise.all([...byTenant].filter(([tenantId]) => toEvaluate.has(tenantId)).map(([tenantId, own]) => this.noteForEvaluation(tenantId, own)));
  }

  private async noteForEvaluation(tenantId: string, events: readonly UsageEvent[]): Promise<void> {
    const { apiKeyId, modelAlias } = events.at(-1)!;
    // One evaluation serves many requests; it is shown in the trace of the last one that has any.
    const traceparent = events.findLast((event) => parseTraceparent(event.traceparent)?.isSampled)?.traceparent;
    const job = { v: 1 as const, tenantId, apiKeyId, modelAlias, ...(traceparent ? { traceparent } : {}) };
    await this.parts.evaluations.addLatest(tenantId, job, EVALUATE_AFTER_MS);
  }

  private retries(step: 'commit' | 'release'): RetryOptions {
    return { signal: this.options.signal, onWait: (error, pauseMs) => this.parts.observer.waiting(step, error, pauseMs) };
  }
}

/** Ids are random in their last digits. */
function laneOf(tenantId: string): number {
  return Number.parseInt(tenantId.slice(-6), 16);
}

/** A key's total reaches Redis only while the key has a budget: after this time without news an edge asks again. */
const KEY_TOTAL_FRESH_MS = 5 * 60_000;

export function toSeed(total: BudgetTotal): BudgetTotalSeed {
  const isTenant = total.apiKeyId === TENANT_SCOPE;
  return {
    scope: isTenant ? 'tenant' : 'key',
    ...(isTenant ? {} : { keyId: total.apiKeyId }),
    windowId: total.windowId,
    windowEndMs: total.endMs,
    spentNano: total.spentNano,
    version: total.version,
    ...(isRollingId(total.windowId) ? { freshUntilMs: total.endMs } : isTenant ? {} : { freshForMs: KEY_TOTAL_FRESH_MS }),
  };
}

/** The same values can never be booked: trying again would block the queue for ever. */
function isPoison(error: unknown): boolean {
  return isRefusedByDatabase(error) || error instanceof TypeError || error instanceof RangeError;
}

/** Postgres's code and column, or our own error's text; never the values. */
function describe(error: unknown): string {
  const { code, table, column, constraint, message } = error as { code?: string; table?: string; column?: string; constraint?: string; message: string };
  return code ? [code, table, column, constraint].filter(Boolean).join(' ') : message.slice(0, 200);
}
