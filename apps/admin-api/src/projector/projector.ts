import { ADVISORY_LOCKS, LeaderSession, type DatabaseSettings, type PrismaClient } from '@omg/database';
import { ConfigBucket, type NatsClient } from '@omg/storage';
import type { Logger, Metrics } from '@omg/service-kit';
import { findDrift } from './compare.js';
import { deleteOutbox, readOutbox, readPricesThatBegan, type OutboxRow } from './outbox.queries.js';
import { identify, project, type ProjectionRef, type ProjectionSettings } from './projection.js';
import { ProjectorMetrics } from './projector-metrics.js';
import { Wakeup } from './wakeup.js';

/**
 * The projector: brings what the edges must know from Postgres into the KV bucket `config`.
 *
 * Every change of configuration leaves a row in `config_outbox`, in its own transaction (triggers see to that) and a
 * notification. One replica leads, by a session lock of Postgres; it takes the rows in their order, reads the state of what
 * they name, writes the documents and only then deletes the rows. A row says what to look at, never what changed, so
 * rows may be handled twice, late or together without harm.
 *
 * - leader killed: another replica gets the lock and finds the rows;
 * - two leaders for a moment: writes are conditional on the revision read before the state, so the older state loses;
 * - NATS away: rows stay and are handled when it is back; Postgres away: nothing changes, the edges keep what they have;
 * - bucket lost or changed by hand: a comparison of everything at the start of each leadership, after each reconnect to
 *   NATS and every few minutes finds and repairs it.
 */
export interface ProjectorOptions {
  prisma: PrismaClient;
  nats: NatsClient;
  database: Pick<DatabaseSettings, 'url' | 'connectTimeoutMs'>;
  replicas: number;
  settings: ProjectionSettings;
  logger: Logger;
  metrics: Metrics;
  /** Longest time between two looks at the outbox, whatever was notified. */
  pollMs?: number;
  compareIntervalMs?: number;
  /** How often prices that were set for a later time are looked for. */
  priceCheckMs?: number;
}

const BATCH = 500;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;
const PRICE_CHECK_MS = 5000;

export class Projector {
  private readonly session: LeaderSession;
  private readonly wakeup = new Wakeup();
  private readonly metrics: ProjectorMetrics;
  private readonly pollMs: number;
  private readonly compareIntervalMs: number;
  private bucket: ConfigBucket | undefined;
  private stopped = false;
  private running: Promise<void> | undefined;
  private mustCompare = true;
  private nextCompareMs = 0;
  private nextPriceCheckMs = 0;
  private pricesUntil: Date | undefined;
  private failures = 0;
  private readonly endNatsListener: () => void;

  constructor(private readonly options: ProjectorOptions) {
    this.pollMs = options.pollMs ?? 1000;
    this.compareIntervalMs = options.compareIntervalMs ?? 300_000;
    this.metrics = new ProjectorMetrics(options.metrics, () => this.session.isLeading);
    this.session = new LeaderSession(options.database, {
      name: 'projector',
      purpose: ADVISORY_LOCKS.projector,
      channel: 'omg_config_outbox',
      onNotify: () => this.wakeup.wake(),
    });
    this.endNatsListener = options.nats.onUp(() => {
      // A server that came back may have lost its files: the bucket is opened and compared anew.
      this.bucket = undefined;
      this.mustCompare = true;
      this.wakeup.wake();
    });
  }

  get isLeading(): boolean {
    return this.session.isLeading;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** The configuration file changed: the documents that follow from it are made anew. */
  refresh(): void {
    this.mustCompare = true;
    this.wakeup.wake();
  }

  /** Ends after the batch in hand and frees the lock. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.endNatsListener();
    this.wakeup.end();
    await this.running;
    await this.session.resign();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const busy = await this.turn();
        this.failures = 0;
        if (!busy) await this.wakeup.wait(this.pollMs);
      } catch (error) {
        // The first failure of a row of failures tells the reason; the rest would tell it again.
        if (this.failures === 0) this.options.logger.warn({ err: error }, 'configuration could not be projected; trying again');
        this.failures++;
        this.metrics.failures.inc();
        await this.wakeup.wait(Math.min(RETRY_FIRST_MS * 2 ** Math.min(this.failures, 10), RETRY_MAX_MS), { deaf: true });
      }
    }
  }

  /** One look; true when there may be more to do at once. */
  private async turn(): Promise<boolean> {
    if (!this.session.isLeading) {
      if (!(await this.session.tryLead())) return false;
      this.options.logger.info({}, 'this replica projects the configuration');
      this.mustCompare = true;
    }
    if (!(await this.session.check())) return false;
    const bucket = await this.openBucket();
    if (this.mustCompare || Date.now() >= this.nextCompareMs) await this.compare(bucket);
    if (Date.now() >= this.nextPriceCheckMs) await this.projectNewPrices(bucket);
    const rows = await readOutbox(this.options.prisma, BATCH);
    if (rows.length === 0) return false;
    await this.projectRows(bucket, rows);
    return true;
  }

  private async openBucket(): Promise<ConfigBucket> {
    const connection = this.options.nats.current;
    if (!connection || !this.options.nats.isConnected) throw new Error('NATS is not connected');
    this.bucket ??= await ConfigBucket.open(connection, this.options.replicas);
    return this.bucket;
  }

  private async projectRows(bucket: ConfigBucket, rows: readonly OutboxRow[]): Promise<void> {
    const refs = new Map<string, ProjectionRef>();
    for (const row of rows) {
      const ref = { kind: row.kind, ref: row.ref } as ProjectionRef;
      refs.set(identify(ref), ref);
    }
    const { conflicts } = await this.project(bucket, [...refs.values()]);
    const again = new Set(conflicts.map(identify));
    const done = rows.filter((row) => !again.has(identify(row as ProjectionRef)));
    await deleteOutbox(
      this.options.prisma,
      done.map((row) => row.seq),
    );
    const nowMs = Date.now();
    for (const row of done) this.metrics.delay.observe(Math.max(0, nowMs - row.createdAt.getTime()) / 1000);
  }

  private async project(bucket: ConfigBucket, refs: readonly ProjectionRef[]) {
    const result = await project(bucket, this.options.prisma, this.options.settings, refs);
    this.metrics.written.inc(result.written);
    this.metrics.removed.inc(result.removed);
    for (const { ref, error } of result.impossible)
      this.options.logger.error({ err: error, kind: ref.kind, ref: ref.ref }, 'this document cannot be made; the edges keep the one they have');
    return result;
  }

  private async compare(bucket: ConfigBucket): Promise<void> {
    this.mustCompare = false;
    try {
      const drift = await findDrift(bucket, this.options.prisma, this.options.settings);
      for (let start = 0; start < drift.length; start += BATCH) await this.project(bucket, drift.slice(start, start + BATCH));
      if (drift.length > 0) this.options.logger.info({ documents: drift.length }, 'documents differed from the database and were repaired');
      this.metrics.repaired.inc(drift.length);
    } catch (error) {
      this.mustCompare = true;
      throw error;
    }
    // Replicas that started together shall not compare together for ever.
    this.nextCompareMs = Date.now() + this.compareIntervalMs * (0.9 + Math.random() * 0.2);
  }

  /** Prices may be set for a time to come; then the model's document changes without any change in the database. */
  private async projectNewPrices(bucket: ConfigBucket): Promise<void> {
    const { until, aliasKeys } = await readPricesThatBegan(this.options.prisma, this.pricesUntil);
    for (let start = 0; start < aliasKeys.length; start += BATCH) {
      await this.project(
        bucket,
        aliasKeys.slice(start, start + BATCH).map((ref) => ({ kind: 'model', ref })),
      );
    }
    this.pricesUntil = until;
    this.nextPriceCheckMs = Date.now() + (this.options.priceCheckMs ?? PRICE_CHECK_MS);
  }
}
