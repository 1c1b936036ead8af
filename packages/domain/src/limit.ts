/** Limits per minute and in parallel. 0 or absent in an override means: inherit. */
export interface RateLimits {
  requestsPerMinute: number;
  tokensPerMinute: number;
  parallelRequests: number;
}

export function effectiveLimits(defaults: RateLimits, override: Partial<RateLimits> | undefined): RateLimits {
  return {
    requestsPerMinute: override?.requestsPerMinute || defaults.requestsPerMinute,
    tokensPerMinute: override?.tokensPerMinute || defaults.tokensPerMinute,
    parallelRequests: override?.parallelRequests || defaults.parallelRequests,
  };
}
