import { z } from 'zod';
import { duration, durationOf, leaf, longDuration, positiveDuration, text } from '../fields.js';
import { listenAddress } from './server.js';

/** Settings of one service each. */
export const edgeSection = z.object({
  redis_timeout: leaf(duration({ min: 1, max: 5000 }).default(durationOf('80ms')), {
    about: 'Longest wait for Redis inside a request; past it the fallback decides, so a client waits at most 100 ms.',
  }),
  lease: leaf(duration({ min: 5000 }).default(durationOf('60s')), {
    about: 'Lease of a running request; renewed while it runs, so a killed edge frees its slots after this time.',
  }),
  unseeded_allowance_usd: leaf(z.number().min(0).max(1000).default(1), {
    about: 'How much a tenant may hold while its spend is not known to Redis; nothing where its budget is `strict`.',
  }),
  offline_allowance_usd: leaf(z.number().min(0).max(1000).default(0.5), {
    about: 'How much one process may spend per tenant while Redis is away, from what last remained.',
  }),
  upstream_connections: leaf(z.int().min(1).max(10_000).default(4096), {
    about: 'Most connections to one provider origin; a call beyond it waits for one, so fewer than `max_in_flight` only protects a small provider.',
  }),
  max_in_flight: leaf(z.int().min(1).max(100_000).default(4096), { about: 'Running requests of one process; more are refused with 503 `overloaded`.' }),
  body_memory_mb: leaf(z.int().min(0).max(1_000_000).default(0), {
    about:
      "Most memory of one process for request bodies, received or running, in MiB; more are refused with 503 `overloaded`. 0: an eighth of Node's heap limit, as text and tree of a body take several times its size, and never less than one largest body.",
  }),
  retry_budget_ratio: leaf(z.number().min(0).max(1).default(0.2), { about: 'Most retries and failovers as a share of the requests.' }),
  key_cache_entries: leaf(z.int().min(100).max(10_000_000).default(50_000), { about: 'API keys kept in memory.' }),
  idempotency_ttl: leaf(longDuration().default(durationOf('30m')), { about: 'How long the answer of an `Idempotency-Key` is kept.' }),
  idempotency_memory_mb: leaf(z.int().min(8).max(1_000_000).default(256), {
    about:
      "Most memory of Redis that one process takes for a tenant's answers by `Idempotency-Key`, in MiB; half of it at once. An answer beyond it is not kept, and a retry is a new call.",
  }),
});

export const meteringSection = z.object({
  batch_max_events: leaf(z.int().min(1).max(1024).default(128), { about: 'Usage events in one message.' }),
  batch_max_delay: leaf(duration({ min: 0, max: 1000 }).default(durationOf('5ms')), { about: 'Longest wait for a fuller message.' }),
  spool_directory: leaf(text().default('./data/spool'), {
    about: 'Where usage is written when Redis and NATS are both away; replayed when NATS is back, by this process or the next one.',
  }),
  spool_max_mb: leaf(z.int().min(1).max(100_000).default(256), { about: 'Largest spool; a full one stops new requests with 503.' }),
  stream_max_mb: leaf(z.int().min(16).max(1_000_000).default(2048), { about: 'Largest usage stream; a full one refuses new messages and loses nothing.' }),
});

export const recorderSection = z.object({
  listen_addr: leaf(listenAddress().default(':8082'), { about: 'Address of the usage recorder (health and metrics).' }),
  concurrency: leaf(z.int().min(1).max(64).default(4), { about: 'Transactions that book at once. All of a tenant is in one of them.' }),
  reaper_interval: leaf(positiveDuration().default(durationOf('15s')), { about: 'How often attempts that nobody ended are looked for.' }),
  reaper_grace: leaf(positiveDuration().default(durationOf('30s')), {
    about: 'How long after its lease an attempt waits before it is booked with an estimate.',
  }),
});

export const monitorSection = z.object({
  listen_addr: leaf(listenAddress().default(':8083'), { about: 'Address of the health monitor (health and metrics).' }),
  probe_concurrency: leaf(z.int().min(1).max(256).default(16), { about: 'Probes that run at once.' }),
  lease: leaf(duration({ min: 2000 }).default(durationOf('10s')), { about: 'Only the replica that holds this lease probes; another takes over after it.' }),
});
