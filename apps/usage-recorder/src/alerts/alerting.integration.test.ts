import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { QUEUES, SETTING_KEYS, budgetEvaluationJobSchema, type BudgetEvaluationJob } from '@omg/contracts';
import { KeyRing, sealedContext } from '@omg/domain';
import { loadConfig, type Config } from '@omg/service-kit';
import { closeRedis } from '@omg/storage';
import { connectQueues, openQueue, type JobQueue } from '@omg/storage/queues';
import { addCleanup, cleanUp, waitFor } from '@omg/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { BudgetRules } from '../budgets/budget-rules.js';
import { UsageLedger } from '../persist/commit-usage.js';
import { openSurroundings, type Surroundings } from '../testing.fixture.js';
import { usageEvent } from '../usage-event.fixture.js';
import { Alerting } from './alerting.js';
import { startMailServer, startReceiver } from './receivers.fixture.js';

const SIGNING_SECRET = `whsec_${randomBytes(24).toString('base64')}`;
const LIMIT_NANO = 1_000_000_000n;
/** For one delivery to a receiver that answers: the figures of production are for a network, this one is for a busy machine. */
const PATIENT_MS = 30_000;

let s: Surroundings;
let budgets: Config['budgets'];
let evaluations: JobQueue<BudgetEvaluationJob>;
const keys = new KeyRing([`test:${randomBytes(32).toString('base64')}`]);
const running: Alerting[] = [];

beforeAll(async () => {
  s = await openSurroundings();
  budgets = loadConfig({ sections: ['budgets'], cwd: '/', env: {} }).config.budgets;
  evaluations = openQueue(s.queueRedis, QUEUES.budgetEvaluation, budgetEvaluationJobSchema);
  addCleanup(() => evaluations.close());
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((alerting) => alerting.close()));
  await s.pool.query('DELETE FROM settings');
});

afterAll(cleanUp);

type AlertConfig = Config['budgets']['alert'];

function withAlert(alert: Partial<Omit<AlertConfig, 'smtp'>> & { smtp?: Partial<AlertConfig['smtp']> } = {}): Config['budgets'] {
  const { webhook, smtp } = budgets.alert;
  return {
    ...budgets,
    alert: {
      ...budgets.alert,
      enabled: true,
      webhook: { ...webhook, timeoutMs: PATIENT_MS },
      ...alert,
      smtp: { ...smtp, connectTimeoutMs: PATIENT_MS, ...alert.smtp },
    },
  };
}

/** Those of the recorder that was started last. */
let rules: BudgetRules;

function startAlerting(config: Config['budgets'], allowlist = ['127.0.0.1']): { alerting: Alerting; rules: BudgetRules } {
  const own = new BudgetRules(config, (error) => s.log.error({ err: error }, 'settings'));
  // Replicas are processes: each has its own connection.
  const queueRedis = connectQueues(s.redisSettings, { name: 'alerting-test' });
  addCleanup(() => closeRedis(queueRedis));
  const alerting = new Alerting(
    { queueRedis, database: s.database, rules: own, keys, metrics: s.metrics, log: s.log },
    { timezone: 'UTC', allowlist, signingSecret: SIGNING_SECRET },
  );
  running.push(alerting);
  rules = own;
  return { alerting, rules };
}

interface TenantFixture {
  emails?: string[] | null;
  webhooks?: string[] | null;
  cooldownSeconds?: number;
}

async function createTenant({ emails = null, webhooks = null, cooldownSeconds }: TenantFixture = {}) {
  const tenantId = randomUUID();
  const name = `acme ${tenantId.slice(0, 8)}`;
  await s.pool.query('INSERT INTO tenants (id, name, updated_at) VALUES ($1, $2, now())', [tenantId, name]);
  await s.pool.query(
    `INSERT INTO tenant_budget_overrides (tenant_id, budget_nano, warning_threshold, alert_emails, alert_webhooks, alert_cooldown_seconds, updated_at)
     VALUES ($1, $2, 0.8, $3, $4, $5, now())`,
    [tenantId, LIMIT_NANO.toString(), emails && JSON.stringify(emails), webhooks && JSON.stringify(webhooks), cooldownSeconds ?? null],
  );
  const apiKeyId = randomUUID();
  const prefix = tenantId.replaceAll('-', '').slice(0, 10);
  await s.pool.query(
    `INSERT INTO api_keys (id, tenant_id, prefix, secret_digest, last_four, name, updated_at) VALUES ($1, $2, $3, sha256('x'), 'abcd', 'k', now())`,
    [apiKeyId, tenantId, prefix],
  );
  return { tenantId, apiKeyId, prefix, name };
}

/** Books a call that costs this share of the limit, as the ingestion does. */
async function spend(who: { tenantId: string; apiKeyId: string }, percent: number): Promise<void> {
  const ledger = new UsageLedger(s.database, {
    timezone: 'UTC',
    keepRequests: true,
    defaults: (tx) => rules.defaults(tx),
  });
  const costNano = String((LIMIT_NANO * BigInt(percent)) / 100n);
  const { toEvaluate } = await ledger.commit([usageEvent({ tenantId: who.tenantId, apiKeyId: who.apiKeyId, costNano })]);
  if (toEvaluate.has(who.tenantId))
    await evaluations.addLatest(who.tenantId, { v: 1, tenantId: who.tenantId, apiKeyId: who.apiKeyId, modelAlias: 'assistant' });
}

async function alertsOf(tenantId: string) {
  const { rows } = await s.pool.query<{
    id: string;
    level: string;
    success: boolean | null;
    error: string | null;
    channels: unknown;
    deliveries: Record<string, { attempts: number }>;
  }>('SELECT id, level, success, error, channels, deliveries FROM budget_alert_events WHERE tenant_id = $1 ORDER BY created_at', [tenantId]);
  return rows;
}

const endedAlerts = (tenantId: string, count: number) =>
  waitFor(async () => {
    const alerts = await alertsOf(tenantId);
    return alerts.length >= count && alerts.every((alert) => alert.success !== null) ? alerts : undefined;
  });

async function evaluationsDone(): Promise<void> {
  await waitFor(async () => {
    const { waiting, active } = await evaluations.depth();
    return waiting + active === 0;
  });
}

describe('a webhook', () => {
  it('tells of the warning and then of the limit, signed, with the documented body', async () => {
    const receiver = await startReceiver(200);
    const who = await createTenant({ webhooks: [receiver.url] });
    startAlerting(withAlert());
    await spend(who, 85);
    await endedAlerts(who.tenantId, 1);
    await spend(who, 20);
    const alerts = await endedAlerts(who.tenantId, 2);
    expect(alerts.map(({ level, success, error }) => [level, success, error])).toEqual([
      ['warning', true, null],
      ['exceeded', true, null],
    ]);
    const [warning, exceeded] = receiver.calls;
    expect(JSON.parse(warning!.body)).toMatchObject({
      event_id: alerts[0]!.id,
      tenant_id: who.tenantId,
      tenant_name: who.name,
      level: 'warning',
      limit_cents: 100,
      total_cost_cents: 85,
      warning: true,
      exceeded: false,
      currency: 'USD',
      api_key_prefix: who.prefix,
      model_alias: 'assistant',
      window: { start: expect.stringMatching(/-01T00:00:00.000Z$/), end: expect.any(String) },
      timestamp: expect.any(String),
    });
    expect(JSON.parse(exceeded!.body)).toMatchObject({ level: 'exceeded', total_cost_cents: 105, warning: false, exceeded: true });
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = warning!.headers;
    const expected = createHmac('sha256', Buffer.from(SIGNING_SECRET.slice(6), 'base64'))
      .update(`${id}.${timestamp}.${warning!.body}`)
      .digest('base64');
    expect([id, signature]).toEqual([alerts[0]!.id, `v1,${expected}`]);
  });

  it('is sent once for one alert, however many recorders evaluate and deliver', async () => {
    const receiver = await startReceiver(200);
    const who = await createTenant({ webhooks: [receiver.url] });
    for (let i = 0; i < 3; i++) startAlerting(withAlert());
    await Promise.all(Array.from({ length: 12 }, () => spend(who, 10)));
    await evaluationsDone();
    await waitFor(async () => (await endedAlerts(who.tenantId, 1)).at(-1)?.level === 'exceeded');
    const alerts = await alertsOf(who.tenantId);
    // A warning goes ahead of the limit only if somebody looked in between.
    expect(alerts.length).toBeLessThanOrEqual(2);
    expect(receiver.calls).toHaveLength(alerts.length);
  });

  it('is tried again while its server fails, after longer and longer pauses, and not more often than configured', async () => {
    const [flaky, broken] = [await startReceiver(500, 429, 200), await startReceiver(503)];
    const [first, second] = [await createTenant({ webhooks: [flaky.url] }), await createTenant({ webhooks: [broken.url] })];
    startAlerting(withAlert());
    await spend(first, 85);
    await spend(second, 85);
    const [delivered] = await endedAlerts(first.tenantId, 1);
    const [given] = await endedAlerts(second.tenantId, 1);
    expect([delivered!.success, flaky.calls.length]).toEqual([true, 3]);
    expect([given!.success, given!.error, broken.calls.length]).toEqual([false, 'webhook: status 503', 3]);
    const [one, two, three] = broken.calls.map(({ atMs }) => atMs) as [number, number, number];
    expect(two - one).toBeGreaterThanOrEqual(245);
    expect(three - two).toBeGreaterThanOrEqual(495);
  });

  it.each([
    ['refused by its server', [400], 'status 400'],
    ['redirected', [302, 200], 'status 302'],
  ])('that is %s is not tried again', async (_what, statuses, error) => {
    const receiver = await startReceiver(...statuses);
    const who = await createTenant({ webhooks: [receiver.url] });
    startAlerting(withAlert());
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect([alert!.success, alert!.error, receiver.calls.length]).toEqual([false, `webhook: ${error}`, 1]);
  });

  it.each([
    ['loopback', 'https://127.0.0.1:9/x', 'address not allowed'],
    ['a private address', 'https://10.0.0.1/x', 'address not allowed'],
    ['the metadata service', 'https://169.254.169.254/latest/meta-data', 'address not allowed'],
    ['a name of a private address', 'https://localhost:9/x', 'address not allowed'],
    ['an address in IPv6 clothes', 'https://[::ffff:169.254.169.254]/x', 'address not allowed'],
    ['plain http', 'http://hooks.example.com/x', 'not https'],
  ])('to %s is never sent', async (_what, url, error) => {
    const who = await createTenant({ webhooks: [url] });
    startAlerting(withAlert(), []);
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect([alert!.success, alert!.error]).toEqual([false, `webhook: ${error}`]);
  });

  it('shows in the history without what its address hides', async () => {
    const receiver = await startReceiver(200);
    const who = await createTenant({ webhooks: [`${receiver.url}?token=canary-secret`] });
    startAlerting(withAlert());
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect(alert!.success).toBe(true);
    expect(JSON.stringify(alert)).not.toContain('canary-secret');
    expect(alert!.channels).toEqual({ emails: [], webhooks: [`${receiver.url}?***`] });
  });
});

describe('the cooldown', () => {
  it('holds the same level back, also after a delivery that failed, without writing the state anew, and ends', async () => {
    const receiver = await startReceiver(400, 200);
    const who = await createTenant({ webhooks: [receiver.url], cooldownSeconds: 3600 });
    startAlerting(withAlert());
    await spend(who, 85);
    await endedAlerts(who.tenantId, 1);
    const stateOf = async () => (await s.pool.query('SELECT *, xmin FROM budget_alert_states WHERE tenant_id = $1', [who.tenantId])).rows;
    const state = await stateOf();
    await spend(who, 1);
    await evaluationsDone();
    expect(await alertsOf(who.tenantId)).toHaveLength(1);
    // Not written again: nothing about it has changed.
    expect(await stateOf()).toEqual(state);
    await s.pool.query("UPDATE budget_alert_states SET last_alert_at = now() - interval '2 hours' WHERE tenant_id = $1", [who.tenantId]);
    await spend(who, 1);
    const alerts = await endedAlerts(who.tenantId, 2);
    expect(alerts.map(({ level, success }) => [level, success])).toEqual([
      ['warning', false],
      ['warning', true],
    ]);
  });
});

describe('channels', () => {
  it('of the defaults count where the tenant has none of its own, and none at all when alerts are switched off', async () => {
    const receiver = await startReceiver(200);
    const [inherits, mute] = [await createTenant(), await createTenant({ emails: [], webhooks: [] })];
    startAlerting(withAlert({ webhooks: [receiver.url] }));
    await spend(inherits, 85);
    await spend(mute, 85);
    await endedAlerts(inherits.tenantId, 1);
    await evaluationsDone();
    expect([receiver.calls.length, await alertsOf(mute.tenantId)]).toEqual([1, []]);
    await Promise.all(running.splice(0).map((alerting) => alerting.close()));
    const off = await createTenant({ webhooks: [receiver.url] });
    startAlerting(withAlert({ enabled: false }));
    await spend(off, 85);
    await evaluationsDone();
    expect([receiver.calls.length, await alertsOf(off.tenantId)]).toEqual([1, []]);
  });

  it('and limits changed in the admin API win over the configuration file, without a restart', async () => {
    const receiver = await startReceiver(200);
    const setting = {
      limitNano: '500000000',
      warningThreshold: 0.5,
      schedule: 'daily',
      alert: { enabled: true, emails: [], webhooks: [receiver.url], cooldownSeconds: 60 },
    };
    const who = await createTenant();
    await s.pool.query('DELETE FROM tenant_budget_overrides WHERE tenant_id = $1', [who.tenantId]);
    startAlerting(withAlert({ enabled: false }));
    await spend(who, 25);
    await evaluationsDone();
    expect(await alertsOf(who.tenantId)).toEqual([]);
    await s.pool.query('INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, now())', [SETTING_KEYS.budget, JSON.stringify(setting)]);
    await spend(who, 1);
    await endedAlerts(who.tenantId, 1);
    expect(JSON.parse(receiver.calls[0]!.body)).toMatchObject({ level: 'warning', limit_cents: 50, total_cost_cents: 26 });
  });
});

describe('a mail', () => {
  it('arrives by STARTTLS with login, with the documented subject', async () => {
    const server = await startMailServer({ authOptional: false });
    const who = await createTenant({ emails: ['owner@example.com', 'finance@example.com'] });
    startAlerting(
      withAlert({
        smtp: { host: '127.0.0.1', port: server.port, from: 'gateway@example.com', skipTlsVerify: true, username: 'mailer', password: 'mail-password' },
      }),
    );
    await spend(who, 100);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect(alert!.success).toBe(true);
    expect(server.mails.map(({ to, secure, user }) => [to, secure, user]).toSorted()).toEqual([
      [['finance@example.com'], true, 'mailer'],
      [['owner@example.com'], true, 'mailer'],
    ]);
    expect(server.mails[0]!.content).toContain(`Subject: [Budget EXCEEDED] Tenant ${who.name}`);
  });

  it('is not sent to a server without STARTTLS, nor to one with a certificate that nobody vouches for', async () => {
    const [plain, untrusted] = [await startMailServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] }), await startMailServer()];
    for (const { port, mails } of [plain, untrusted]) {
      const who = await createTenant({ emails: ['owner@example.com'] });
      startAlerting(withAlert({ smtp: { host: '127.0.0.1', port, from: 'gateway@example.com', skipTlsVerify: port === plain.port } }));
      await spend(who, 100);
      const [alert] = await endedAlerts(who.tenantId, 1);
      expect([alert!.success, mails]).toEqual([false, []]);
      await Promise.all(running.splice(0).map((alerting) => alerting.close()));
    }
  });

  it('uses the server and the sealed password that were set in the admin API, and others from the next mail on', async () => {
    const [server, next] = [await startMailServer({ authOptional: false }), await startMailServer({ authOptional: false })];
    const smtp = {
      host: '127.0.0.1',
      port: server.port,
      username: 'mailer',
      sealedPassword: keys.seal('mail-password', sealedContext.smtpPassword),
      from: 'gateway@example.com',
      useTls: true,
      skipTlsVerify: true,
      connectTimeoutSeconds: PATIENT_MS / 1000,
    };
    await s.pool.query('INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, now())', [
      SETTING_KEYS.alerts,
      JSON.stringify({ smtp, webhook: { timeoutSeconds: PATIENT_MS / 1000, maxRetries: 1 } }),
    ]);
    const who = await createTenant({ emails: ['owner@example.com'] });
    startAlerting(withAlert());
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect([alert!.success, server.mails.length]).toEqual([true, 1]);
    await s.pool.query(`UPDATE settings SET value = jsonb_set(value, '{smtp,port}', to_jsonb($2::int)) WHERE key = $1`, [SETTING_KEYS.alerts, next.port]);
    const another = await createTenant({ emails: ['owner@example.com'] });
    await spend(another, 85);
    await endedAlerts(another.tenantId, 1);
    expect([server.mails.length, next.mails.length]).toEqual([1, 1]);
  });

  it('gives up within its deadline on a server that accepts and says nothing', async () => {
    const server = await startMailServer({ onConnect: () => undefined });
    const who = await createTenant({ emails: ['owner@example.com'] });
    startAlerting({ ...withAlert({ smtp: { host: '127.0.0.1', port: server.port, from: 'gateway@example.com', connectTimeoutMs: 200 } }) });
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    expect([alert!.success, alert!.error]).toEqual([false, 'email: timeout']);
  });
});

describe('an alert whose delivery was lost', () => {
  it('is found by the sweep and delivered once', async () => {
    const receiver = await startReceiver(200);
    const who = await createTenant({ webhooks: [receiver.url] });
    const { alerting } = startAlerting(withAlert());
    await spend(who, 85);
    const [alert] = await endedAlerts(who.tenantId, 1);
    const waiting = Object.fromEntries(Object.entries(alert!.deliveries).map(([id, delivery]) => [id, { ...delivery, success: null, attempts: 0 }]));
    await s.pool.query("UPDATE budget_alert_events SET success = NULL, deliveries = $2, created_at = now() - interval '5 minutes' WHERE id = $1", [
      alert!.id,
      JSON.stringify(waiting),
    ]);
    await alerting.sweep();
    await alerting.sweep();
    await endedAlerts(who.tenantId, 1);
    expect(receiver.calls).toHaveLength(2);
  });
});
