import type { Metrics } from '@omg/service-kit';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Everything that the recorder counts. Label values are closed lists. */
export function recorderMetrics(metrics: Metrics) {
  const commitDuration = metrics.histogram({
    name: 'recorder_commit_duration_seconds',
    help: 'One transaction of usage events, waiting for Postgres included.',
    buckets: SECONDS,
  });
  const bookingDelay = metrics.histogram({
    name: 'recorder_booking_delay_seconds',
    help: 'From the publication of a batch to its acknowledgement.',
    buckets: SECONDS,
  });
  const events = metrics.counter({
    name: 'recorder_events_total',
    help: 'Usage events committed: inserted, corrected (the exact end of a call that had been booked by estimate), or known already (redelivered, or without usage).',
    labelNames: ['result'],
  });
  const reaped = metrics.counter({
    name: 'recorder_reaped_attempts_total',
    help: 'Attempts that nobody ended (booked with the held estimate) or nobody released (booked exactly).',
    labelNames: ['kind'],
  });
  const jobAge = metrics.gauge({ name: 'recorder_job_last_success_timestamp_seconds', help: 'When a recurring job last ended well.', labelNames: ['task'] });
  return {
    commitDuration: commitDuration.child(),
    bookingDelay: bookingDelay.child(),
    inserted: events.child('inserted'),
    corrected: events.child('corrected'),
    known: events.child('known'),
    batches: metrics.counter({ name: 'recorder_batches_total', help: 'Batch messages delivered; redelivered ones again.', labelNames: ['delivery'] }),
    deadLetters: metrics.counter({ name: 'recorder_dead_letters_total', help: 'Events and batches that could not be booked.', labelNames: ['reason'] }),
    deadLettersStored: metrics.gauge({ name: 'recorder_dead_letters', help: 'Dead letters that wait for an operator.' }).child(),
    waits: metrics.counter({ name: 'recorder_waits_total', help: 'Pauses because a dependency did not answer.', labelNames: ['step'] }),
    lag: metrics.gauge({ name: 'recorder_lag_seconds', help: 'Age of the oldest usage message that is not booked yet.' }).child(),
    streamMessages: metrics.gauge({ name: 'recorder_stream_messages', help: 'Usage messages in the stream.', labelNames: ['state'] }),
    queueJobs: metrics.gauge({ name: 'recorder_queue_jobs', help: 'Jobs in the queues.', labelNames: ['queue', 'state'] }),
    seeds: metrics.counter({ name: 'recorder_budget_seeds_total', help: 'Totals put into Redis on request.', labelNames: ['result'] }),
    alerts: metrics.counter({ name: 'budget_alerts_total', help: 'Budget alerts raised.', labelNames: ['level'] }),
    deliveries: metrics.counter({
      name: 'budget_alert_deliveries_total',
      help: 'Deliveries of alerts, by their final result.',
      labelNames: ['channel', 'result'],
    }),
    reapedExpired: reaped.child('expired'),
    reapedEnded: reaped.child('ended'),
    mismatches: metrics.gauge({ name: 'ledger_mismatches', help: 'Mismatches that the last verification found.' }).child(),
    purgedRows: metrics.counter({ name: 'recorder_purged_rows_total', help: 'Rows deleted because their retention ended.', labelNames: ['table'] }),
    jobSucceeded: (job: string, nowMs: number) => jobAge.child(job).set(nowMs / 1_000),
    jobFailures: metrics.counter({ name: 'recorder_job_failures_total', help: 'Recurring jobs that failed; they are tried again.', labelNames: ['task'] }),
  };
}

export type RecorderMetrics = ReturnType<typeof recorderMetrics>;
