import { setTimeout as delay } from 'node:timers/promises';
import type { AlertDeliveryJob } from '@omg/contracts';
import { EnvelopeError, sealedContext, type KeyRing } from '@omg/domain';
import { inSpan, type Logger, type TraceSpan, type Tracing } from '@omg/service-kit';
import { lockAlertEvent, saveDeliveries, type AlertDelivery, type AlertEvent, type LedgerDatabase } from '@omg/database';
import type { AlertTransport, BudgetRules } from '../budgets/budget-rules.js';
import type { RecorderMetrics } from '../metrics.js';
import { targetsOf, type Target } from './channels.js';
import { sendMail } from './email.js';
import { failed, type SendResult } from './send.js';
import type { WebhookSender } from './webhook.js';

/**
 * Delivers one alert to one target. The queue gives a job to one worker at a time, and the alert's row says what was
 * delivered already, so an alert arrives once; only a process that dies between the delivery and its note repeats it, and
 * receivers see the same event id then.
 */
export interface DeliveryParts {
  database: LedgerDatabase;
  rules: BudgetRules;
  webhooks: WebhookSender;
  /** Opens the SMTP password of the persisted settings. */
  keys: KeyRing;
  metrics: RecorderMetrics;
  tracing: Tracing;
  log: Logger;
}

/** Pause after the first failed try; grows with each. */
const PAUSE_STEP_MS = 250;

interface Assignment {
  event: AlertEvent;
  delivery: AlertDelivery;
  /** Undefined: no longer a channel of the tenant. */
  target: Target | undefined;
  transport: AlertTransport;
}

export async function deliverAlert(parts: DeliveryParts, job: AlertDeliveryJob): Promise<void> {
  const attributes = { 'omg.alert.id': job.alertId, 'omg.alert.channel': job.channel };
  const options = { kind: 'client', parent: job.traceparent, onlyWithParent: true, attributes } as const;
  return inSpan(parts.tracing, 'deliver alert', options, (span) => deliverInSpan(parts, job, span));
}

async function deliverInSpan(parts: DeliveryParts, job: AlertDeliveryJob, span: TraceSpan | undefined): Promise<void> {
  const assignment = await readAssignment(parts, job);
  if (!assignment) return;
  const { event, target, transport } = assignment;
  const attemptsMax = Math.max(1, transport.webhook.attemptsMax);
  let { attempts } = assignment.delivery;
  for (;;) {
    const result = target ? await send(parts, event, target, transport) : failed('no longer a channel of the tenant', false);
    if (target) attempts += 1;
    const ended = result.ok || !result.retry || attempts >= attemptsMax;
    await note(parts, job, {
      channel: job.channel,
      attempts,
      success: ended ? result.ok : null,
      error: result.ok ? null : result.error,
      at: new Date().toISOString(),
    });
    if (ended) {
      span?.set({ 'omg.alert.attempts': attempts });
      if (!result.ok) span?.fail('not_delivered');
      return report(parts, job, event, result);
    }
    await delay(PAUSE_STEP_MS * attempts);
  }
}

async function readAssignment({ database, rules }: DeliveryParts, job: AlertDeliveryJob): Promise<Assignment | undefined> {
  return database.transaction(async (tx) => {
    const event = await lockAlertEvent(tx, job.alertId);
    const delivery = event?.deliveries[job.target];
    if (!event || !delivery || delivery.success !== null) return undefined;
    const budget = await rules.forTenant(tx, event.tenantId);
    const target = budget && targetsOf(budget.alert).find((candidate) => candidate.id === job.target);
    return { event, delivery, target, transport: await rules.transport(tx) };
  });
}

async function send({ webhooks, keys }: DeliveryParts, event: AlertEvent, target: Target, transport: AlertTransport): Promise<SendResult> {
  if (target.channel === 'webhook') return webhooks.send(target.address, event.id, event.payload, transport.webhook.timeoutMs);
  const { password } = transport.smtp;
  try {
    const plain = 'plain' in password ? password.plain : keys.open(password.sealed, sealedContext.smtpPassword);
    return await sendMail(transport.smtp, plain, {
      to: target.address,
      level: event.level,
      tenantName: String(event.payload['tenant_name']),
      payload: event.payload,
    });
  } catch (error) {
    if (error instanceof EnvelopeError) return failed('the mail password cannot be opened', false);
    throw error;
  }
}

async function note({ database }: DeliveryParts, job: AlertDeliveryJob, delivery: AlertDelivery): Promise<void> {
  await database.transaction(async (tx) => {
    const event = await lockAlertEvent(tx, job.alertId);
    if (event) await saveDeliveries(tx, job.alertId, { ...event.deliveries, [job.target]: delivery });
  });
}

function report({ metrics, log }: DeliveryParts, job: AlertDeliveryJob, event: AlertEvent, result: SendResult): void {
  metrics.deliveries.child(job.channel, result.ok ? 'delivered' : 'failed').inc();
  const { alertId, channel, target } = job;
  if (result.ok) log.info({ alertId, channel, target, tenantId: event.tenantId, level: event.level }, 'budget alert delivered');
  else log.error({ alertId, channel, target, tenantId: event.tenantId, level: event.level, reason: result.error }, 'budget alert could not be delivered');
}
