import { ProviderError, type ProviderCall, type Transport } from '@omg/providers';
import type { MonitoredRoute } from '../routes/route-table.js';

/**
 * - `ok`: the route would work.
 * - `failed`: it would not, with the class of the failure.
 * - `unknown`: this probe says nothing: there is no free one, or the provider only asked for patience.
 */
export type ProbeResult = { outcome: 'ok' } | { outcome: 'failed'; reason: string } | { outcome: 'unknown' };

const ANSWER_BYTES_MAX = 1_048_576;

/** Probes a route once. Never rejects. */
export async function probeRoute(route: MonitoredRoute, transport: Transport, timeoutMs: number): Promise<ProbeResult> {
  if (route.problem !== undefined) return { outcome: 'failed', reason: route.problem };
  const { adapter } = route;
  if (!adapter || route.probe === 'off') return { outcome: 'unknown' };
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    if (route.probe === 'paid') await payForOneToken(route, transport, signal, timeoutMs);
    else if (adapter.probe) await adapter.probe({ transport, signal, timeoutMs });
    else return { outcome: 'unknown' };
    return { outcome: 'ok' };
  } catch (error) {
    if (signal.aborted) return { outcome: 'failed', reason: 'timeout' };
    if (!(error instanceof ProviderError)) return { outcome: 'failed', reason: 'error' };
    // A limit on how often one may ask says nothing about the route; live traffic tells when it is a problem.
    return error.kind === 'rate_limited' ? { outcome: 'unknown' } : { outcome: 'failed', reason: error.kind };
  }
}

/** The smallest real call. Only where the catalog entry asks for it, since it costs money outside any budget. */
async function payForOneToken(route: MonitoredRoute, transport: Transport, signal: AbortSignal, timeoutMs: number): Promise<void> {
  const isEmbedding = route.modelType === 'embedding' || route.capabilities.chat === undefined;
  const json = isEmbedding ? { model: route.alias, input: 'ping' } : { model: route.alias, messages: [{ role: 'user', content: 'ping' }], max_tokens: 1 };
  const call: ProviderCall = {
    operation: isEmbedding ? 'embeddings' : 'chat',
    alias: route.alias,
    raw: Buffer.from(JSON.stringify(json)),
    json,
    stream: false,
    includeUsage: false,
    transport,
    signal,
    headersTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
    responseBytesMax: ANSWER_BYTES_MAX,
  };
  await route.adapter!.invoke(call);
}
