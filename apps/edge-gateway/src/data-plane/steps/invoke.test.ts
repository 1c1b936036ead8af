import { describe, expect, it } from '@jest/globals';
import { ProviderError, type JsonReply } from '@omg/providers';
import type { RouteEntry } from '../../snapshot/config-snapshot.js';
import { RetryBudget } from '../../upstream/retry-budget.js';
import { RouteStates } from '../../upstream/route-states.js';
import type { RequestContext } from '../context.js';
import { invoke } from './invoke.js';

const BREAKER = { failureThreshold: 1, cooldownMs: 300_000, probeLeaseMs: 60_000 };
const ANSWER = { kind: 'json', body: Buffer.from('{}'), outputBytes: 0 } as JsonReply;

function route(id: string, call: () => JsonReply): RouteEntry {
  return { id, weight: 100, enabled: true, usable: true, doc: { id }, adapter: { invoke: async () => call() } } as unknown as RouteEntry;
}

function fail(): never {
  throw new ProviderError('server_error', { status: 500 });
}

function contextOf(plan: RouteEntry[], routing: RouteStates, retries: RetryBudget): RequestContext {
  return {
    services: { routing, retries, config: { providerTimeoutMs: 1000 }, log: { warn: () => undefined } },
    endpoint: { operation: 'chat' },
    parsed: { stream: false, includeUsage: false },
    grant: { heldNano: 0n },
    attempts: [],
    plan,
  } as unknown as RequestContext;
}

describe('failover', () => {
  it('spends a retry on calls only, not on a route whose breaker opened since it was planned', async () => {
    const routing = new RouteStates(BREAKER, () => 1_000_000);
    const oneRetry = new RetryBudget(0, 1);
    const failing = route('a', () => {
      routing.onFailure('b', routing.start('b'), 'timeout', undefined);
      return fail();
    });
    const ctx = contextOf([failing, route('b', fail), route('c', () => ANSWER)], routing, oneRetry);
    await expect(invoke(ctx)).resolves.toEqual({ kind: 'json', reply: ANSWER });
    expect(ctx.attempts.map(({ route: { id }, status }) => [id, status])).toEqual([
      ['a', 500],
      ['c', 200],
    ]);
  });
});
