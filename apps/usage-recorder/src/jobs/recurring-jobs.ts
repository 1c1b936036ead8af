import { type LedgerDatabase } from '@omg/database';
import { usageBacklog, type LedgerStore, type NatsClient } from '@omg/storage';
import type { Alerting } from '../alerts/alerting.js';
import type { Backlog } from '../backlog.js';
import type { RecorderContext } from '../config.js';
import type { Ingestion } from '../ingest/ingestion.js';
import type { RecorderMetrics } from '../metrics.js';
import { reap } from '../reaper/reaper.js';
import { usageIsWholeSinceMs } from '../retention.js';
import { verifyLedger } from '../verify/verify-ledger.js';
import type { RecurringJob } from './recurring.js';
import { makePartitions, purge } from './retention-job.js';

export interface JobParts {
  database: LedgerDatabase;
  store: LedgerStore;
  nats: NatsClient;
  metrics: RecorderMetrics;
  alerting: Alerting;
  ingestion: Ingestion;
  backlog: Backlog;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Costs recomputed by the daily verification; `./omg verify` recomputes all. */
const VERIFIED_DAYS = 2;

/** Everything that the recorder does from time to time, in one list. */
export function recurringJobs({ config, logger }: RecorderContext, parts: JobParts): RecurringJob[] {
  const { database, store, nats, metrics, alerting, ingestion, backlog } = parts;
  const { reaperIntervalMs, reaperGraceMs } = config.recorder;
  const failedTenants = new Set<string>();
  const retentionParts = { database, metrics, log: logger };
  return [
    {
      name: 'reaper',
      everyMs: reaperIntervalMs,
      firstAfterMs: reaperIntervalMs,
      run: () =>
        reap(
          { store, bookkeeper: ingestion.bookkeeper, deadLetter: (id, letter) => ingestion.deadLetter(id, letter), metrics, log: logger },
          { graceMs: reaperGraceMs, backlogGraceMs: 10 * MINUTE_MS, backlogMs: () => backlog.lagMs, nowMs: Date.now, failed: failedTenants },
        ),
    },
    { name: 'alert-sweep', everyMs: MINUTE_MS, firstAfterMs: MINUTE_MS, run: () => alerting.sweep() },
    { name: 'partitions', everyMs: 6 * HOUR_MS, firstAfterMs: 5_000, run: () => makePartitions(retentionParts) },
    { name: 'retention', everyMs: HOUR_MS, firstAfterMs: 5 * MINUTE_MS, run: (signal) => purge(retentionParts, config.retention, Date.now(), signal) },
    {
      name: 'verify',
      everyMs: DAY_MS,
      firstAfterMs: HOUR_MS,
      run: async () => {
        const connection = await nats.connected(AbortSignal.timeout(MINUTE_MS));
        const usageSinceMs = usageIsWholeSinceMs(config.retention, Date.now());
        const report = await verifyLedger(
          { database, store, backlog: () => usageBacklog(connection) },
          { usageSinceMs, costsSinceMs: Math.max(usageSinceMs, Date.now() - VERIFIED_DAYS * DAY_MS), settleMs: 10_000, allowRunning: true },
        );
        metrics.mismatches.set(report.mismatches.length);
        for (const mismatch of report.mismatches) logger.error(mismatch, 'the ledger does not agree with itself');
      },
    },
  ];
}
