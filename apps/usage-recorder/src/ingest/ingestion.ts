import { setTimeout as delay } from 'node:timers/promises';
import { QUEUES, usageJobSchema, type BudgetEvaluationJob, type DeadLetter, type UsageEvent } from '@omg/contracts';
import { TRACING_OFF, type Logger, type Tracing } from '@omg/service-kit';
import {
  USAGE_ACK_WAIT_MS,
  acknowledge,
  ensureUsageStreams,
  keepMessage,
  publishDeadLetter,
  subscribeToUsage,
  type LedgerStore,
  type NatsClient,
  type RedisClient,
  type UsageStreamOptions,
} from '@omg/storage';
import { openQueue, work, type JobQueue } from '@omg/storage/queues';
import type { RecorderMetrics } from '../metrics.js';
import type { UsageLedger } from '../persist/commit-usage.js';
import { persistently } from '../retry.js';
import { Bookkeeper } from './bookkeeper.js';
import { HeldMessages } from './held-messages.js';
import { UsageIntake } from './usage-intake.js';
import { traceCommitted } from './trace-committed.js';
import { processUsageJob } from './usage-worker.js';

/**
 * Usage from the bus into Postgres:
 *
 *   stream USAGE -> intake -> queue `usage` (one job per batch) -> worker -> group commit -> release in Redis -> ack
 *
 * The stream keeps a message until its events are committed. Who holds it tells the stream so all the time (`HeldMessages`);
 * when that stops, the message is delivered again, and what was committed before is not counted twice. While Postgres is
 * away jobs wait in the worker; while Redis is away nothing is taken from the stream beyond its limit of unacknowledged
 * messages.
 */

export interface IngestionParts {
  nats: NatsClient;
  queueRedis: RedisClient;
  store: Pick<LedgerStore, 'release'>;
  ledger: UsageLedger;
  evaluations: Pick<JobQueue<BudgetEvaluationJob>, 'addLatest'>;
  metrics: RecorderMetrics;
  tracing?: Tracing;
  log: Logger;
}

export interface IngestionOptions extends UsageStreamOptions {
  /** Transactions under way in this process. */
  groupsMax: number;
  usageKeptMs: () => number;
}

/**
 * Events in one transaction: large enough that Postgres works in bulk, small enough to end within a second, and to lock no more tenants
 * than a server with default settings can note (some 13,000 locks, for all recorders together).
 */
const GROUP_EVENTS_MAX = 1_024;
const GROUP_EVENTS_MIN = 256;
/** Jobs under way: enough that also small messages fill a transaction while others are committed. */
const JOBS_MAX = 256;
/** Short, so that the batches of a killed recorder wait only seconds; booking one twice by mistake has no effect. */
const LOCK_MS = 3_000;
const RESUBSCRIBE_PAUSE_MS = 1_000;
/** How long the running transactions may take at shutdown before waiting ones are given up. */
const DRAIN_MS = 5_000;

export class Ingestion {
  private readonly stopping = new AbortController();
  private readonly giveUp = new AbortController();
  /** Also books what the reaper finds. */
  readonly bookkeeper: Bookkeeper;
  private readonly held: HeldMessages;
  private readonly intake: UsageIntake;
  private readonly subscribing: Promise<void>;
  private readonly queue;
  private readonly worker;

  constructor(
    private readonly parts: IngestionParts,
    private readonly options: IngestionOptions,
  ) {
    const { metrics, queueRedis, log } = parts;
    this.queue = openQueue(queueRedis, QUEUES.usage, usageJobSchema);
    const deadLetter = (id: string, letter: DeadLetter) => this.deadLetter(id, letter);
    const acknowledgeMessage = (ackSubject: string) => this.toStream(acknowledge, ackSubject);
    const held = (this.held = new HeldMessages({
      keep: (ackSubject) => this.toStream(keepMessage, ackSubject),
      missingJobs: (ids) => this.queue.missing(ids),
      ackWaitMs: options.ackWaitMs ?? USAGE_ACK_WAIT_MS,
    }));
    this.intake = new UsageIntake({
      queue: this.queue,
      held,
      deadLetter,
      acknowledge: acknowledgeMessage,
      onWait: (error) => this.waiting('queue', error),
      onMessage: (message) => metrics.batches.child(message.deliveries > 1 ? 'again' : 'first').inc(),
      nowMs: Date.now,
      signal: this.giveUp.signal,
    });
    const bookkeeper = (this.bookkeeper = this.createBookkeeper());
    this.worker = work(queueRedis, {
      name: QUEUES.usage,
      schema: usageJobSchema,
      concurrency: JOBS_MAX,
      lockMs: LOCK_MS,
      process: async (job) => {
        await processUsageJob({ bookkeeper, held, deadLetter, acknowledge: acknowledgeMessage, nowMs: Date.now }, job);
        metrics.bookingDelay.observe(Math.max(0, Date.now() - job.data.publishedAtMs) / 1_000);
      },
      onError: (error, jobId) => {
        if (!this.giveUp.signal.aborted) log.warn({ err: error, jobId }, 'usage queue');
      },
    });
    this.subscribing = this.subscribe();
  }

  depth(): Promise<{ waiting: number; active: number; delayed: number }> {
    return this.queue.depth();
  }

  /** Takes nothing more, ends the running transactions, and leaves the rest to the next recorder. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.subscribing;
    const worker = this.worker.close();
    await Promise.race([Promise.all([worker, this.intake.idle()]), delay(DRAIN_MS, undefined, { ref: false })]);
    this.giveUp.abort();
    await worker;
    this.held.close();
    await this.queue.close();
  }

  private createBookkeeper(): Bookkeeper {
    const { ledger, store, evaluations, metrics } = this.parts;
    const observer = {
      committed: (events: readonly UsageEvent[], { inserted, corrected }: { inserted: number; corrected: number }, seconds: number) => {
        traceCommitted(this.parts.tracing ?? TRACING_OFF, events, seconds, Date.now());
        metrics.commitDuration.observe(seconds);
        metrics.inserted.inc(inserted);
        metrics.corrected.inc(corrected);
        metrics.known.inc(events.length - inserted - corrected);
      },
      waiting: (step: string, error: unknown) => this.waiting(step, error),
    };
    const { groupsMax, usageKeptMs } = this.options;
    return new Bookkeeper(
      { ledger, store, evaluations, observer },
      { groupEventsMax: GROUP_EVENTS_MAX, groupEventsMin: GROUP_EVENTS_MIN, groupsMax, usageKeptMs, nowMs: Date.now, signal: this.giveUp.signal },
    );
  }

  private async subscribe(): Promise<void> {
    const { nats, log } = this.parts;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        const connection = await nats.connected(signal);
        await ensureUsageStreams(connection, this.options);
        const subscription = await subscribeToUsage(connection, (message) => this.intake.take(message));
        const stop = () => void subscription.stop();
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) stop();
        await subscription.ended;
        signal.removeEventListener('abort', stop);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, 'no delivery from the usage stream; trying again');
      }
      await delay(RESUBSCRIBE_PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Resolves once the letter is stored. */
  async deadLetter(id: string, letter: DeadLetter): Promise<void> {
    const { nats, metrics, log } = this.parts;
    const { signal } = this.giveUp;
    await persistently(async () => publishDeadLetter(await nats.connected(signal), id, letter), {
      signal,
      onWait: (error) => this.waiting('dead_letter', error),
    });
    metrics.deadLetters.child(letter.reason).inc();
    const { reason, detail, batchId, streamSequence } = letter;
    log.error({ reason, detail, batchId, streamSequence }, 'usage could not be booked; it is kept as a dead letter');
  }

  /** A lost acknowledgement, or sign of life, is no loss: the batch comes again and is booked once. */
  private toStream(send: typeof acknowledge, ackSubject: string): void {
    const connection = this.parts.nats.current;
    if (connection && !connection.isClosed()) send(connection, ackSubject);
  }

  private waiting(step: string, error: unknown): void {
    const { metrics, log } = this.parts;
    const count = metrics.waits.child(step);
    count.inc();
    // An outage of an hour must not fill the log.
    if (count.value <= 3 || count.value % 100 === 0) log.warn({ err: error, step, waits: count.value }, 'waiting for a dependency');
  }
}
