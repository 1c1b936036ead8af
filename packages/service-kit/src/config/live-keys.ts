/**
 * Settings that take effect without a restart, when the service gets SIGHUP: those that are read anew for each use, or whose
 * reader registers `onReload`. Everything else is a socket, a pool, a secret or the shape of stored data, and stays as it was at
 * the start. A name that ends in a dot stands for all keys below it.
 */
export const LIVE_KEYS: readonly string[] = [
  'server.sync_timeout',
  'server.provider_timeout',
  'server.stream_idle_timeout',
  'server.stream_max_duration',
  'rate_limits.',
  'budgets.',
  'retention.metadata_days',
  'observability.trace_sample_ratio',
  'observability.log_level',
  'edge.max_in_flight',
  'edge.body_memory_mb',
  'edge.unseeded_allowance_usd',
  'providers.',
  'bootstrap.',
  'model_catalog',
];

/** Below a live name, but not live: receivers that check signatures must not see two secrets during one change. */
export const NOT_LIVE_KEYS: readonly string[] = ['budgets.alert.webhook.signing_secret'];

export function isLive(dotted: string): boolean {
  return !NOT_LIVE_KEYS.includes(dotted) && LIVE_KEYS.some((key) => (key.endsWith('.') ? dotted.startsWith(key) : dotted === key));
}
