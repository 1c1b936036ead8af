import { ProviderError, smallestCall, type Transport } from '@omg/providers';
import type { MonitoredRoute } from '../routes/route-table.js';

/**
 * - `ok`: the route would work.
 * - `failed`: it would not, with the class of the failure.
 * - `unknown`: this probe says nothing: there is no free one, or the provider only asked for patience.
 */
export type ProbeResult = { outcome: 'ok' } | { outcome: 'failed'; reason: string } | { outcome: 'unknown' };

/** Probes a route once. Never rejects. */
export async function probeRoute(route: MonitoredRoute, transport: Transport, timeoutMs: number): Promise<ProbeResult> {
  if (route.problem !== undefined) return { outcome: 'failed', reason: route.problem };
  const { adapter } = route;
  if (!adapter || route.probe === 'off') return { outcome: 'unknown' };
  const signal = AbortSignal.timeout(timeoutMs);
  const context = { transport, signal, timeoutMs };
  try {
    // Some tokens a minute are small change; a picture a minute is not.
    if (route.probe === 'paid' && route.operation !== undefined && route.operation !== 'images') {
      await adapter.invoke(smallestCall(route.operation, route.alias, context));
    } else if (adapter.probe) await adapter.probe(context);
    else return { outcome: 'unknown' };
    return { outcome: 'ok' };
  } catch (error) {
    if (signal.aborted) return { outcome: 'failed', reason: 'timeout' };
    if (!(error instanceof ProviderError)) return { outcome: 'failed', reason: 'error' };
    // A limit on how often one may ask says nothing about the route; live traffic tells when it is a problem.
    return error.kind === 'rate_limited' ? { outcome: 'unknown' } : { outcome: 'failed', reason: error.kind };
  }
}
