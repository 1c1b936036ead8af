import type { Count, Distribution, Metrics } from '@omg/service-kit';

/** Names are without the prefix of all metrics. */
export class ProjectorMetrics {
  readonly written: Count;
  readonly removed: Count;
  readonly repaired: Count;
  readonly failures: Count;
  readonly delay: Distribution;

  constructor(metrics: Metrics, isLeading: () => boolean) {
    const documents = metrics.counter({ name: 'config_documents_total', help: 'Configuration documents brought to the edges.', labelNames: ['operation'] });
    this.written = documents.child('written');
    this.removed = documents.child('removed');
    this.repaired = documents.child('repaired');
    this.failures = metrics.counter({ name: 'config_projection_failures_total', help: 'Attempts to project the configuration that failed.' }).child();
    this.delay = metrics
      .histogram({
        name: 'config_projection_delay_seconds',
        help: 'From a change in Postgres to its document in NATS.',
        buckets: [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 5, 30],
      })
      .child();
    const leading: ReturnType<Metrics['gauge']> = metrics.gauge({
      name: 'config_projector_leading',
      help: '1 on the replica that projects.',
      refresh: () => leading.child().set(isLeading() ? 1 : 0),
    });
  }
}
