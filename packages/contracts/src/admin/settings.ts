import { z } from 'zod';
import { emailSchema, text } from './common.js';

/** Settings that are changed while the gateway runs; they win over the configuration file. */

const positive = z.int().min(1).max(1_000_000_000);
export const rateLimitDefaultsInputSchema = z.object({
  requests_per_minute: positive,
  tokens_per_minute: positive,
  parallel_requests_key: positive,
  parallel_requests_tenant: positive,
});
export const rateLimitDefaultsSchema = z.object({
  requests_per_minute: z.int(),
  tokens_per_minute: z.int(),
  parallel_requests_key: z.int(),
  parallel_requests_tenant: z.int(),
  version: z.int(),
});

export const defaultModelSchema = z.object({ alias: text(128) });

const host = z
  .string()
  .trim()
  .max(253)
  .regex(/^$|^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$/, 'must be a host name or address');
/** A sender, with or without a name; no line breaks, which would let in further headers. */
const sender = z
  .string()
  .trim()
  .max(320)
  .regex(/^[^\r\n]*$/, 'must be one line');

/** An absent, empty or masked password keeps the stored one; null removes it. */
export const alertSettingsInputSchema = z.object({
  smtp: z
    .object({
      host,
      port: z.int().min(1).max(65_535).default(587),
      username: z.string().max(320).default(''),
      password: z.string().max(1024).nullish(),
      from: sender.default(''),
      use_tls: z.boolean().default(true),
      skip_tls_verify: z.boolean().default(false),
      connect_timeout_seconds: z.number().min(0).max(60).default(5),
    })
    .refine((smtp) => smtp.host === '' || smtp.from !== '', { path: ['from'], message: 'is required with a host' }),
  webhook: z.object({ timeout_seconds: z.number().min(0).max(60).default(5), max_retries: z.int().min(0).max(20).default(3) }),
});

export const alertSettingsSchema = z.object({
  smtp: z.object({
    host: z.string(),
    port: z.int(),
    username: z.string(),
    /** Masked; empty: none. */
    password: z.string(),
    from: z.string(),
    use_tls: z.boolean(),
    skip_tls_verify: z.boolean(),
    connect_timeout_seconds: z.number(),
  }),
  webhook: z.object({ timeout_seconds: z.number(), max_retries: z.int() }),
  version: z.int(),
});

const ttlSeconds = z.int().min(1).max(31_622_400);
const ttlOrder = { path: ['default_ttl_seconds'], message: 'must not be above max_ttl_seconds' };
/** Whether a default lifetime fits under its maximum. */
const ttlsFit = (input: { default_ttl_seconds: number; max_ttl_seconds: number }): boolean => input.default_ttl_seconds <= input.max_ttl_seconds;

const fileLimits = z.object({ max_size_mb: z.int().min(1).max(100_000), default_ttl_seconds: ttlSeconds, max_ttl_seconds: ttlSeconds });
export const fileSettingsInputSchema = fileLimits.refine(ttlsFit, ttlOrder);
export const fileSettingsSchema = fileLimits.extend({ version: z.int() });

const batchLimits = z.object({
  max_requests: z.int().min(1).max(10_000_000),
  max_concurrency: z.int().min(1).max(100_000),
  default_ttl_seconds: ttlSeconds,
  max_ttl_seconds: ttlSeconds,
});
export const batchSettingsInputSchema = batchLimits.refine(ttlsFit, ttlOrder);
export const batchSettingsSchema = batchLimits.extend({ version: z.int() });

export const testEmailSchema = z.object({ email: emailSchema });

export const providerListSchema = z.object({
  providers: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      description: z.string(),
      capabilities: z.array(z.string()),
      /** Names of the settings that are sealed at rest and masked in answers. */
      secret_settings: z.array(z.string()),
    }),
  ),
});
