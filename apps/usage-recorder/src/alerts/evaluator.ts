import { randomBytes } from 'node:crypto';
import type { AlertDeliveryJob, BudgetEvaluationJob } from '@omg/contracts';
import { inSpan, type TraceSpan, type Tracing } from '@omg/service-kit';
import { budgetWindow, centsFromNanoUsd, uuidV7, type BudgetWindow } from '@omg/domain';
import {
  databaseNowMs,
  insertAlertEvent,
  keyPrefix,
  lockAlertState,
  saveAlertState,
  type AlertEvent,
  type AlertLevel,
  type LedgerDatabase,
  type Transaction,
} from '@omg/database';
import { type JobQueue } from '@omg/storage/queues';
import type { BudgetRules, TenantBudget } from '../budgets/budget-rules.js';
import { currentTotals } from '../budgets/current-totals.js';
import type { RecorderMetrics } from '../metrics.js';
import { decide, levelOf, type Standing } from './alert-state.js';
import { shownChannels, targetsOf, type Target } from './channels.js';

/**
 * After a commit: does the tenant's spend call for an alert? The alert and the memory of it are written in one transaction
 * under a lock of the tenant's state, so replicas that evaluate at once raise it once. The deliveries are queued after
 * that; should this process end in between, the sweep finds the alert undelivered.
 */
export interface EvaluatorParts {
  database: LedgerDatabase;
  rules: BudgetRules;
  deliveries: Pick<JobQueue<AlertDeliveryJob>, 'add'>;
  metrics: RecorderMetrics;
  tracing: Tracing;
}

export interface RaisedAlert {
  event: AlertEvent;
  targets: Target[];
}

export async function evaluateBudget(parts: EvaluatorParts, timezone: string, job: BudgetEvaluationJob): Promise<RaisedAlert | undefined> {
  const { traceparent, tenantId } = job;
  const parent = { kind: 'consumer', parent: traceparent, onlyWithParent: true, attributes: { 'omg.tenant.id': tenantId } } as const;
  return inSpan(parts.tracing, 'evaluate budget', parent, (span) => evaluateInSpan(parts, timezone, job, span));
}

async function evaluateInSpan(
  parts: EvaluatorParts,
  timezone: string,
  job: BudgetEvaluationJob,
  span: TraceSpan | undefined,
): Promise<RaisedAlert | undefined> {
  const raised = await parts.database.transaction((tx) => evaluate(tx, parts.rules, timezone, job));
  if (!raised) return undefined;
  parts.metrics.alerts.child(raised.event.level).inc();
  span?.set({ 'omg.alert.id': raised.event.id, 'omg.alert.level': raised.event.level });
  await parts.deliveries.add(raised.targets.map((target) => deliveryJob(raised.event.id, target, span?.traceparent)));
  return raised;
}

export function deliveryJob(alertId: string, target: Pick<Target, 'id' | 'channel'>, traceparent?: string) {
  const data = { v: 1 as const, alertId, channel: target.channel, target: target.id, ...(traceparent === undefined ? {} : { traceparent }) };
  return { id: `${alertId}_${target.id}`, data };
}

async function evaluate(tx: Transaction, rules: BudgetRules, timezone: string, job: BudgetEvaluationJob): Promise<RaisedAlert | undefined> {
  const { tenantId } = job;
  const budget = await rules.forTenant(tx, tenantId);
  if (!budget) return undefined;
  const nowMs = await databaseNowMs(tx);
  const window = budgetWindow(budget.schedule, timezone, nowMs);
  const totals = await currentTotals(tx, { tenantId, windowId: window.id }, { timezone, defaultLimitNano: budget.limitNano });
  const spentNano = totals?.[0]?.spentNano ?? 0n;
  const standing: Standing = { windowId: window.id, spentNano, limitNano: budget.limitNano, warningThreshold: budget.warningThreshold };
  const targets = targetsOf(budget.alert);
  const previous = await lockAlertState(tx, tenantId);
  const { alert, state } = decide(previous, standing, { nowMs, cooldownMs: budget.alert.cooldownMs, hasChannels: targets.length > 0 });
  if (!alert && state.lastLevel === previous.lastLevel && state.windowId === previous.windowId) return undefined;
  await saveAlertState(tx, tenantId, state);
  if (!alert) return undefined;
  const apiKeyPrefix = job.apiKeyId ? await keyPrefix(tx, tenantId, job.apiKeyId) : undefined;
  const event = alertEvent(alert, { job, budget, window, standing, targets, nowMs, apiKeyPrefix });
  await insertAlertEvent(tx, event);
  return { event, targets };
}

interface AlertFacts {
  job: BudgetEvaluationJob;
  budget: TenantBudget;
  window: BudgetWindow;
  standing: Standing;
  targets: Target[];
  nowMs: number;
  apiKeyPrefix: string | undefined;
}

function alertEvent(level: AlertLevel, { job, budget, window, standing, targets, nowMs, apiKeyPrefix }: AlertFacts): AlertEvent {
  const id = uuidV7(nowMs, randomBytes(10));
  const waiting = { success: null, attempts: 0, error: null, at: null };
  return {
    id,
    tenantId: job.tenantId,
    level,
    channels: shownChannels(targets),
    deliveries: Object.fromEntries(targets.map((target) => [target.id, { channel: target.channel, ...waiting }])),
    payload: {
      event_id: id,
      tenant_id: job.tenantId,
      tenant_name: budget.tenantName,
      level,
      limit_cents: Number(centsFromNanoUsd(standing.limitNano)),
      total_cost_cents: Number(centsFromNanoUsd(standing.spentNano)),
      currency: 'USD',
      warning: level === 'warning',
      exceeded: levelOf(standing) === 'exceeded',
      window: { start: new Date(window.startMs).toISOString(), end: new Date(window.endMs).toISOString() },
      api_key_prefix: apiKeyPrefix ?? null,
      model_alias: job.modelAlias ?? null,
      timestamp: new Date(nowMs).toISOString(),
    },
  };
}
