import { z } from 'zod';
import { duration, durationOf, flag, leaf, list, positiveDuration, text } from '../fields.js';

export const healthSection = z.object({
  check_interval: leaf(duration({ min: 1000 }).default(durationOf('60s')), { about: 'Time between two probes of a route, with jitter.' }),
  rolling_window: leaf(z.int().min(1).max(100).default(5), { about: 'Probe results kept per route; a failing majority means degraded.' }),
  cooldown: leaf(positiveDuration().default(durationOf('5m')), { about: 'How long an open breaker stays open before one probe request.' }),
  failure_threshold: leaf(z.int().min(1).max(100).default(3), { about: 'Consecutive failures that open a breaker.' }),
  probe_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Longest time for one probe.' }),
});

export const observabilitySection = z.object({
  enable_metrics: leaf(flag().default(true), { about: '`/metrics` for Prometheus.' }),
  metrics_listen_addr: leaf(
    text()
      .regex(/^$|^(\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$/, 'must be [host]:port or empty')
      .default(''),
    { about: "Own listener for `/metrics`, so that it is not public; empty: the service's port." },
  ),
  enable_otlp: leaf(flag().default(true), { about: 'Tracing; a missing collector is tolerated silently.' }),
  otlp_endpoint: leaf(text().default('http://localhost:4317'), { about: 'OTLP/gRPC collector; `http` or no scheme is without TLS.' }),
  trace_sample_ratio: leaf(z.number().min(0).max(1).default(0.05), { about: 'Share of requests without a sampled parent that are traced.' }),
  log_level: leaf(z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'), { about: 'Least level that is logged.' }),
});

export const securitySection = z.object({
  upstream_allowlist: leaf(list().default([]), {
    about: 'Hosts, addresses or CIDR ranges that provider URLs may reach although they are private (self-hosted models).',
    example: ['127.0.0.1', '10.20.0.0/16', 'vllm.internal'],
  }),
  webhook_allowlist: leaf(list().default([]), {
    about: 'The same for webhook URLs; those that it names may be plain `http` as well.',
    example: ['hooks.internal'],
  }),
});

export const secretsSection = z.object({
  api_key_pepper: leaf(z.string().default(''), {
    about: 'Key of the HMAC over API key secrets, at least 32 bytes. Changing it invalidates every key.',
    secret: true,
    example: '${ROUTER_SECRETS_API_KEY_PEPPER:-}',
  }),
  encryption_keys: leaf(list().default([]), {
    about: 'Keys for secrets at rest as `kid:base64 of 32 bytes`; the first seals, all open.',
    secret: true,
    example: '${ROUTER_SECRETS_ENCRYPTION_KEYS:-}',
  }),
});
