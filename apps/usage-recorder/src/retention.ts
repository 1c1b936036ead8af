import type { Config } from '@omg/service-kit';

const DAY_MS = 86_400_000;
/** The longest budget window has 366 days; reports look back as far. */
const USAGE_DAYS_MIN = 400;
/** Rows of usage name a key and a model. Zero retention keeps them only for as long as a redelivery must be recognised. */
const ZERO_RETENTION_USAGE_DAYS = 7;

/** How long usage rows are kept; Infinity: for ever. An event older than this may have been booked and forgotten, so it is not booked again. */
export function usageKeptMs(retention: Config['retention']): number {
  if (retention.zeroRetention) return ZERO_RETENTION_USAGE_DAYS * DAY_MS;
  if (retention.metadataDays === 0) return Infinity;
  return Math.max(USAGE_DAYS_MIN, retention.metadataDays) * DAY_MS;
}

/** From here on no usage row is missing. Rows go by whole months, and the day at the edge may be cut. */
export function usageIsWholeSinceMs(retention: Config['retention'], nowMs: number): number {
  return Math.max(0, nowMs - usageKeptMs(retention) + DAY_MS);
}

/** How long request rows are kept. */
export function requestsKeptMs(retention: Config['retention']): number {
  if (retention.zeroRetention) return 0;
  return retention.metadataDays === 0 ? Infinity : retention.metadataDays * DAY_MS;
}
