import { QUEUES, budgetEvaluationJobSchema } from '@omg/contracts';
import { KeyRing } from '@omg/domain';
import type { ServiceParts } from '@omg/service-kit';
import { createPool, ledgerDatabase, pingPostgres } from '@omg/database';
import { RedisLedgerStore, closeRedis, connectNats, connectRedis, pingRedis, usageBacklog } from '@omg/storage';
import { connectQueues, openQueue } from '@omg/storage/queues';
import { Alerting } from './alerts/alerting.js';
import { AppModule } from './app.module.js';
import { Backlog } from './backlog.js';
import { BudgetRules } from './budgets/budget-rules.js';
import { SeedResponder } from './budgets/seed-responder.js';
import type { RecorderContext } from './config.js';
import { Ingestion } from './ingest/ingestion.js';
import { recurringJobs } from './jobs/recurring-jobs.js';
import { RecurringJobs } from './jobs/recurring.js';
import { recorderMetrics } from './metrics.js';
import { UsageLedger } from './persist/commit-usage.js';
import { usageKeptMs } from './retention.js';

const MIB = 1_048_576;

/** Opens everything in reading order; each closer stands beside its opener. Nothing here waits for a server. */
export function buildRecorder(context: RecorderContext): ServiceParts {
  const { config, health, lifecycle, logger } = context;
  const metrics = recorderMetrics(context.metrics);
  const observer = context.connections;

  const pool = createPool(config.database, { name: 'usage-recorder', observer });
  lifecycle.onClose('postgres', () => pool.end());
  health.add('postgres', () => pingPostgres(pool));
  const database = ledgerDatabase(pool);

  const redis = connectRedis(config.redis, { name: 'usage-recorder', mode: 'background', observer });
  lifecycle.onClose('redis', () => closeRedis(redis));
  health.add('redis', () => pingRedis(redis));
  const store = new RedisLedgerStore(redis, { commandTimeoutMs: config.redis.commandTimeoutMs });
  lifecycle.onClose('ledger store', () => store.close());
  const queueRedis = connectQueues(config.redis, { name: 'usage-recorder-queues' });
  lifecycle.onClose('queue redis', () => closeRedis(queueRedis));

  const nats = connectNats(config.nats, { name: 'usage-recorder', observer });
  lifecycle.onClose('nats', () => nats.close());
  health.add('nats', () => nats.ping());

  const rules = new BudgetRules(config.budgets, (error) => logger.error({ err: error }, 'persisted settings cannot be read; the configuration file counts'));
  context.onReload('budgets', () => rules.replaceConfig(config.budgets));
  const { timezone } = config.reporting;
  const ledger = new UsageLedger(database, { timezone, keepRequests: !config.retention.zeroRetention, defaults: (tx) => rules.defaults(tx) });
  const evaluations = openQueue(queueRedis, QUEUES.budgetEvaluation, budgetEvaluationJobSchema);
  lifecycle.onClose('evaluation queue', () => evaluations.close());

  const alerting = new Alerting(
    { queueRedis, database, rules, keys: new KeyRing(config.secrets.encryptionKeys), metrics, tracing: context.tracing, log: logger },
    { timezone, allowlist: config.security.webhookAllowlist, signingSecret: config.budgets.alert.webhook.signingSecret },
  );
  lifecycle.onClose('alerting', () => alerting.close());

  const seeds = new SeedResponder({ nats, database, store, rules, metrics, log: logger }, timezone);
  lifecycle.onClose('seeds', () => seeds.close());
  const ingestion = new Ingestion(
    { nats, queueRedis, store, ledger, evaluations, metrics, tracing: context.tracing, log: logger },
    {
      maxBytes: config.metering.streamMaxMb * MIB,
      replicas: config.nats.replicas,
      groupsMax: config.recorder.concurrency,
      usageKeptMs: () => usageKeptMs(config.retention),
    },
  );
  lifecycle.onClose('ingestion', () => ingestion.close());
  const backlog = new Backlog({
    stream: async () => usageBacklog(await nats.connected()),
    metrics,
    depths: { [QUEUES.usage]: () => ingestion.depth(), [QUEUES.budgetEvaluation]: () => evaluations.depth(), [QUEUES.alertDelivery]: () => alerting.depth() },
  });
  lifecycle.onClose('backlog', () => backlog.close());
  const jobs = new RecurringJobs({ database, metrics, log: logger }, recurringJobs(context, { database, store, nats, metrics, alerting, ingestion, backlog }));
  lifecycle.onClose('recurring jobs', () => jobs.close());
  return { module: AppModule };
}
