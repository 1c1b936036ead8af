import { parseBudgetSchedule } from '@omg/domain';
import { z } from 'zod';
import { durationOf, flag, leaf, list, longDuration, positiveDuration, text } from '../fields.js';

const positive = () => z.int().positive();

export const rateLimitsSection = z.object({
  default_requests_per_minute: leaf(positive().default(1000), { about: 'Per key and per tenant, where nothing else is set.' }),
  default_tokens_per_minute: leaf(positive().default(1_000_000), { about: 'Per key and per tenant, where nothing else is set.' }),
  default_parallel_requests_key: leaf(positive().default(10), { about: 'Running requests of one key.' }),
  default_parallel_requests_tenant: leaf(positive().default(100), { about: 'Running requests of one tenant.' }),
});

export const budgetSchedule = () =>
  text().refine((value) => parseBudgetSchedule(value) !== undefined, 'must be calendar_month, weekly, daily or rolling_<N>d with N from 1 to 366');

const smtp = z.object({
  host: leaf(text().default(''), { about: 'Mail server; a value switches mail on and asks for `from`.', example: 'smtp.example.com' }),
  port: leaf(z.int().min(1).max(65_535).default(587), { about: '465 speaks TLS from the start.' }),
  username: leaf(text().default(''), { about: 'Login, where the server asks for one.' }),
  password: leaf(z.string().default(''), { about: 'Password of the login.', secret: true }),
  from: leaf(text().default(''), { about: 'Sender address.', example: 'gateway@example.com' }),
  use_tls: leaf(flag().default(true), { about: 'STARTTLS is required.' }),
  skip_tls_verify: leaf(flag().default(false), { about: 'Accept any certificate; for tests.' }),
  connect_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Also bounds the whole delivery.' }),
});

const alert = z.object({
  enabled: leaf(flag().default(false), { about: 'Send budget alerts.' }),
  emails: leaf(list().default([]), { about: 'Default receivers.', example: ['platform@example.com'] }),
  webhooks: leaf(list().default([]), { about: 'Default webhook URLs.', example: ['https://hooks.example.com/budget'] }),
  cooldown: leaf(longDuration().default(durationOf('1h')), { about: 'Shortest time between two alerts of one kind for one budget.' }),
  smtp,
  webhook: z.object({
    timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Per attempt.' }),
    max_retries: leaf(z.int().min(1).max(20).default(3), { about: 'Attempts.' }),
    signing_secret: leaf(text().default(''), {
      about: 'Signs webhooks as standardwebhooks.com describes (`whsec_<base64>` or any text); empty: not signed.',
      secret: true,
      example: '${ROUTER_BUDGETS_ALERT_WEBHOOK_SIGNING_SECRET:-}',
    }),
  }),
});

export const budgetsSection = z.object({
  default_usd: leaf(z.number().positive().max(9_000_000).default(100), { about: 'Limit of a tenant without an own budget, in USD.' }),
  warning_threshold_perc: leaf(z.number().gt(0).max(1).default(0.8), { about: 'Despite its name a fraction: 0.8 warns at 80 %.' }),
  refresh_schedule: leaf(budgetSchedule().default('calendar_month'), {
    about: '`calendar_month`, `weekly`, `daily` or `rolling_<N>d`, in `reporting.timezone`.',
  }),
  enforcement: leaf(z.enum(['estimate', 'strict']).default('estimate'), {
    about: "`strict` also caps the upstream's output, so that spend can never pass the limit.",
  }),
  default_output_tokens: leaf(positive().max(1_000_000).default(1024), { about: 'Output that is held for a request without `max_tokens`.' }),
  alert,
});

export const reportingSection = z.object({
  timezone: leaf(text().refine(isTimezone, 'must be an IANA timezone, such as Europe/Berlin').default('UTC'), {
    about: 'IANA zone of reports, dashboards and calendar budget windows.',
  }),
});

export const retentionSection = z.object({
  metadata_days: leaf(z.int().nonnegative().max(36_500).default(30), { about: 'Request rows older than this are purged every hour; 0 keeps them for ever.' }),
  zero_retention: leaf(flag().default(false), { about: 'Keep no request rows, trace ids or idempotency bodies; only the sums that budgets need.' }),
});

function isTimezone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '' && !/^[+-]/.test(zone);
  } catch {
    return false;
  }
}
