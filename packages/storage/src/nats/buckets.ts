import { KV_BUCKETS } from '@omg/contracts';
import type { BucketSettings } from './kv-bucket.js';

const HOUR_MS = 3_600_000;
const MIB = 1_048_576;

/** The buckets and their limits, the same for everyone who opens them: whoever comes first creates them. */
export const BUCKETS = {
  config: { name: KV_BUCKETS.config },
  // The states of routes that are gone vanish by themselves.
  health: { name: KV_BUCKETS.health, ttlMs: 24 * HOUR_MS },
  incidents: { name: KV_BUCKETS.incidents, ttlMs: 30 * 24 * HOUR_MS, bytesMax: 64 * MIB },
} as const satisfies Record<string, BucketSettings>;

/** Leases of one length live in a bucket of their own, since a bucket's keys expire together. */
export function leaseBucket(leaseMs: number): BucketSettings {
  return { name: `${KV_BUCKETS.leases}_${leaseMs}`, ttlMs: leaseMs };
}
