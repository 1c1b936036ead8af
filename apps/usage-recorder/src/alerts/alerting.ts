import { QUEUES, alertDeliveryJobSchema, budgetEvaluationJobSchema, type AlertDeliveryJob } from '@omg/contracts';
import type { KeyRing } from '@omg/domain';
import { TRACING_OFF, type Logger, type Tracing } from '@omg/service-kit';
import { undeliveredAlerts, type LedgerDatabase } from '@omg/database';
import { type RedisClient } from '@omg/storage';
import { openQueue, work, type JobQueue, type JobWorker } from '@omg/storage/queues';
import type { BudgetRules } from '../budgets/budget-rules.js';
import type { RecorderMetrics } from '../metrics.js';
import { deliverAlert } from './delivery.js';
import { deliveryJob, evaluateBudget } from './evaluator.js';
import { WebhookSender, type WebhookOptions } from './webhook.js';

export interface AlertingParts {
  queueRedis: RedisClient;
  database: LedgerDatabase;
  rules: BudgetRules;
  keys: KeyRing;
  metrics: RecorderMetrics;
  tracing?: Tracing;
  log: Logger;
}

export interface AlertingOptions extends WebhookOptions {
  timezone: string;
}

const EVALUATIONS_MAX = 8;
const DELIVERIES_MAX = 8;
/** Longer than any pause of a living process: a delivery that is given to another worker could be sent twice. */
const LOCK_MS = 60_000;
/** An alert that is older and undelivered has lost its job: its process died before queueing it, or Redis forgot it. */
const SWEEP_AFTER_MS = 60_000;
const SWEEP_ALERTS_MAX = 200;

/** The queues `budget-evaluation` and `alert-delivery`. */
export class Alerting {
  private readonly deliveries: JobQueue<AlertDeliveryJob>;
  private readonly webhooks: WebhookSender;
  private readonly workers: JobWorker[];

  constructor(
    private readonly parts: AlertingParts,
    options: AlertingOptions,
  ) {
    const { queueRedis, log } = parts;
    this.deliveries = openQueue(queueRedis, QUEUES.alertDelivery, alertDeliveryJobSchema);
    this.webhooks = new WebhookSender(options);
    const tracing = parts.tracing ?? TRACING_OFF;
    const deliveryParts = { ...parts, tracing, webhooks: this.webhooks };
    const evaluatorParts = { ...parts, tracing, deliveries: this.deliveries };
    const onError = (error: Error, jobId: string | undefined) => log.warn({ err: error, jobId }, 'alert queues');
    this.workers = [
      work(queueRedis, {
        name: QUEUES.budgetEvaluation,
        schema: budgetEvaluationJobSchema,
        concurrency: EVALUATIONS_MAX,
        lockMs: LOCK_MS,
        process: async (job) => void (await evaluateBudget(evaluatorParts, options.timezone, job.data)),
        onError,
      }),
      work(queueRedis, {
        name: QUEUES.alertDelivery,
        schema: alertDeliveryJobSchema,
        concurrency: DELIVERIES_MAX,
        lockMs: LOCK_MS,
        process: (job) => deliverAlert(deliveryParts, job.data),
        onError,
      }),
    ];
  }

  depth(): Promise<{ waiting: number; active: number; delayed: number }> {
    return this.deliveries.depth();
  }

  /** Queues again what is not delivered; a job that still waits or runs is not doubled. */
  async sweep(): Promise<void> {
    const alerts = await this.parts.database.transaction((tx) => undeliveredAlerts(tx, SWEEP_AFTER_MS, SWEEP_ALERTS_MAX));
    const jobs = alerts.flatMap(({ id, deliveries }) =>
      Object.entries(deliveries)
        .filter(([, delivery]) => delivery.success === null)
        .map(([target, { channel }]) => deliveryJob(id, { id: target, channel })),
    );
    if (jobs.length > 0) await this.deliveries.add(jobs);
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.close()));
    await this.webhooks.close();
    await this.deliveries.close();
  }
}
