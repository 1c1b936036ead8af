import { GatewayError } from '@omg/contracts';
import type { RequestContext } from '../context.js';

/** The order in which the capable routes are tried: healthy ones, weighted at random; 503 without an upstream call when there is none. */
export function route(ctx: RequestContext): void {
  const { routing } = ctx.services;
  ctx.plan = routing.plan(ctx.capable);
  if (ctx.plan.length === 0) {
    throw new GatewayError('no_backend_available', { retryAfterMs: routing.soonestRetryMs(ctx.capable) });
  }
}
