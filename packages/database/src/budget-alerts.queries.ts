import { z } from 'zod';
import { plainArray, textArray } from './array-text.js';
import { TENANT_SCOPE } from './budget-totals.queries.js';
import type { Transaction } from './transactions.js';

export type AlertLevel = 'warning' | 'exceeded';

/** What a tenant was last told. Null fields: nothing in this window, or below the threshold since. */
export interface AlertState {
  windowId: string | null;
  lastLevel: AlertLevel | null;
  lastAlertAtMs: number | null;
}

/** Locks the tenant's state until the transaction ends: of several recorders that evaluate at once, one raises the alert. */
export async function lockAlertState(tx: Transaction, tenantId: string): Promise<AlertState> {
  await tx.query({
    name: 'alert-state-create',
    text: 'INSERT INTO budget_alert_states (tenant_id, updated_at) VALUES ($1, now()) ON CONFLICT DO NOTHING',
    values: [tenantId],
  });
  const { rows } = await tx.query<{ window_id: string | null; last_level: AlertLevel | null; last_alert_at: Date | null }>({
    name: 'alert-state-lock',
    text: 'SELECT window_id, last_level, last_alert_at FROM budget_alert_states WHERE tenant_id = $1 FOR UPDATE',
    values: [tenantId],
  });
  const row = rows[0]!;
  return { windowId: row.window_id, lastLevel: row.last_level, lastAlertAtMs: row.last_alert_at?.getTime() ?? null };
}

/** What a tenant without an override has. */
export interface AlertDefaults {
  limitNano: bigint;
  /** Fraction of the limit, at most 1. */
  warningThreshold: number;
}

/**
 * Those of the tenants whose spend in one of the windows has reached its warning threshold, or who were told something before. For all
 * others an evaluation would find nothing to say and nothing to forget; there are many more of them.
 */
export async function tenantsToEvaluate(
  tx: Transaction,
  windows: readonly { tenantId: string; windowId: string }[],
  defaults: AlertDefaults,
): Promise<Set<string>> {
  if (windows.length === 0) return new Set();
  const { rows } = await tx.query<{ tenant_id: string }>({
    name: 'alert-tenants-to-evaluate',
    text: `
SELECT DISTINCT w.tenant_id
FROM unnest($1::uuid[], $2::text[]) AS w(tenant_id, window_id)
JOIN budget_totals b ON b.tenant_id = w.tenant_id AND b.api_key_id = '${TENANT_SCOPE}' AND b.window_id = w.window_id
LEFT JOIN tenant_budget_overrides o ON o.tenant_id = w.tenant_id
LEFT JOIN budget_alert_states s ON s.tenant_id = w.tenant_id
WHERE s.last_level IS NOT NULL OR b.spent_nano >= COALESCE(o.budget_nano, $3::bigint) * COALESCE(o.warning_threshold, $4::numeric)`,
    values: [
      plainArray(windows.map(({ tenantId }) => tenantId)),
      textArray(windows.map(({ windowId }) => windowId)),
      defaults.limitNano,
      defaults.warningThreshold.toFixed(4),
    ],
  });
  return new Set(rows.map((row) => row.tenant_id));
}

export async function saveAlertState(tx: Transaction, tenantId: string, state: AlertState): Promise<void> {
  await tx.query({
    name: 'alert-state-save',
    text: 'UPDATE budget_alert_states SET window_id = $2, last_level = $3, last_alert_at = $4, updated_at = now() WHERE tenant_id = $1',
    values: [tenantId, state.windowId, state.lastLevel, state.lastAlertAtMs === null ? null : new Date(state.lastAlertAtMs).toISOString()],
  });
}

const deliverySchema = z.object({
  channel: z.enum(['email', 'webhook']),
  /** Null: still to be delivered. */
  success: z.boolean().nullable(),
  attempts: z.int().nonnegative(),
  error: z.string().nullable(),
  at: z.string().nullable(),
});
export type AlertDelivery = z.infer<typeof deliverySchema>;

export interface AlertEvent {
  id: string;
  tenantId: string;
  level: AlertLevel;
  /** As people may see them: without what an address hides in its query. */
  channels: { emails: string[]; webhooks: string[] };
  /** The webhook's body. */
  payload: Record<string, unknown>;
  /** By target: a digest of the address, which itself stays in the settings. */
  deliveries: Record<string, AlertDelivery>;
}

export async function insertAlertEvent(tx: Transaction, event: AlertEvent): Promise<void> {
  await tx.query({
    name: 'alert-event-insert',
    text: 'INSERT INTO budget_alert_events (id, tenant_id, level, channels, payload, deliveries) VALUES ($1, $2, $3, $4, $5, $6)',
    values: [event.id, event.tenantId, event.level, JSON.stringify(event.channels), JSON.stringify(event.payload), JSON.stringify(event.deliveries)],
  });
}

/** Locked until the transaction ends, since its deliveries end one by one. Undefined: no such alert. */
export async function lockAlertEvent(tx: Transaction, id: string): Promise<AlertEvent | undefined> {
  const { rows } = await tx.query<{
    id: string;
    tenant_id: string;
    level: AlertLevel;
    channels: AlertEvent['channels'];
    payload: Record<string, unknown>;
    deliveries: unknown;
  }>({
    name: 'alert-event-lock',
    text: 'SELECT id, tenant_id, level, channels, payload, deliveries FROM budget_alert_events WHERE id = $1 FOR UPDATE',
    values: [id],
  });
  const row = rows[0];
  if (!row) return undefined;
  return {
    id: row.id,
    tenantId: row.tenant_id,
    level: row.level,
    channels: row.channels,
    payload: row.payload,
    deliveries: z.record(z.string(), deliverySchema).parse(row.deliveries),
  };
}

/** Saves the deliveries of a locked alert. Once all have ended, the alert as a whole has succeeded or failed. */
export async function saveDeliveries(tx: Transaction, id: string, deliveries: Record<string, AlertDelivery>): Promise<void> {
  const all = Object.values(deliveries);
  const ended = all.every((delivery) => delivery.success !== null);
  const errors = [...new Set(all.filter((delivery) => delivery.success === false).map((delivery) => `${delivery.channel}: ${delivery.error}`))];
  await tx.query({
    name: 'alert-event-deliveries',
    text: 'UPDATE budget_alert_events SET deliveries = $2, success = $3, error = $4 WHERE id = $1',
    values: [id, JSON.stringify(deliveries), ended ? errors.length === 0 : null, errors.length === 0 ? null : errors.join('; ').slice(0, 1_000)],
  });
}

/** Alerts of the last day that are not delivered and were raised at least `olderThanMs` ago, oldest first. */
export async function undeliveredAlerts(
  tx: Transaction,
  olderThanMs: number,
  limit: number,
): Promise<{ id: string; deliveries: Record<string, AlertDelivery> }[]> {
  const { rows } = await tx.query<{ id: string; deliveries: unknown }>({
    name: 'alert-events-undelivered',
    text: `SELECT id, deliveries FROM budget_alert_events
WHERE success IS NULL AND created_at > now() - interval '1 day' AND created_at < now() - $1 * interval '1 millisecond' ORDER BY created_at LIMIT $2`,
    values: [olderThanMs, limit],
  });
  return rows.map((row) => ({ id: row.id, deliveries: z.record(z.string(), deliverySchema).parse(row.deliveries) }));
}

export async function keyPrefix(tx: Transaction, tenantId: string, apiKeyId: string): Promise<string | undefined> {
  const { rows } = await tx.query<{ prefix: string }>({
    name: 'key-prefix',
    text: 'SELECT prefix FROM api_keys WHERE tenant_id = $1 AND id = $2',
    values: [tenantId, apiKeyId],
  });
  return rows[0]?.prefix;
}
