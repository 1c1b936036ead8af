import { SETTING_KEYS, rateLimitsSettingSchema, type RateLimitsSetting } from '@omg/contracts';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';

/** The persisted defaults, else the configuration file's. Version 0: never changed in `/admin`. */
export async function limitDefaults(tx: PrismaTx, { rateLimits }: ConfigOf<'rate_limits'>): Promise<RateLimitsSetting & { version: number }> {
  const row = await tx.setting.findUnique({ where: { key: SETTING_KEYS.rateLimits } });
  if (row) return { ...rateLimitsSettingSchema.parse(row.value), version: row.version };
  return {
    requestsPerMinute: rateLimits.defaultRequestsPerMinute,
    tokensPerMinute: rateLimits.defaultTokensPerMinute,
    parallelRequestsKey: rateLimits.defaultParallelRequestsKey,
    parallelRequestsTenant: rateLimits.defaultParallelRequestsTenant,
    version: 0,
  };
}
