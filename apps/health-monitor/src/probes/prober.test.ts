import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ProviderError, type ProviderAdapter, type Transport } from '@omg/providers';
import type { MonitoredRoute } from '../routes/route-table.js';
import { probeRoute, type ProbeResult } from './probe-route.js';
import { Prober } from './prober.js';

const transport: Transport = { send: () => Promise.reject(new Error('unused')) };
const never = () => Promise.reject(new Error('not called'));

function route(id: string, probe: ProviderAdapter['probe'], more: Partial<MonitoredRoute> = {}): MonitoredRoute {
  return {
    id,
    alias: id,
    provider: 'p',
    operation: 'chat',
    adapter: { invoke: never, probe },
    problem: undefined,
    probe: 'free',
    fingerprint: id,
    ...more,
  };
}

describe('one probe', () => {
  const run = (r: MonitoredRoute) => probeRoute(r, transport, 50);

  it('tells the class of a failure, and that a rate limit or a missing probe says nothing', async () => {
    expect(await run(route('a', () => Promise.resolve()))).toEqual({ outcome: 'ok' });
    expect(await run(route('a', () => Promise.reject(new ProviderError('auth'))))).toEqual({ outcome: 'failed', reason: 'auth' });
    expect(await run(route('a', () => Promise.reject(new ProviderError('rate_limited'))))).toEqual({ outcome: 'unknown' });
    expect(await run(route('a', undefined))).toEqual({ outcome: 'unknown' });
    expect(await run(route('a', () => Promise.resolve(), { probe: 'off' }))).toEqual({ outcome: 'unknown' });
    expect(await run(route('a', () => Promise.resolve(), { adapter: undefined, problem: 'misconfigured' }))).toEqual({
      outcome: 'failed',
      reason: 'misconfigured',
    });
  });

  it('ends at its timeout', async () => {
    const hang: ProviderAdapter['probe'] = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new ProviderError('network'))));
    expect(await run(route('a', hang))).toEqual({ outcome: 'failed', reason: 'timeout' });
  });

  it('pays for one token only when the route asks for it', async () => {
    const calls: Record<string, unknown>[] = [];
    const adapter: ProviderAdapter = {
      invoke: (call) => (calls.push(call.json), Promise.resolve({ kind: 'json', body: Buffer.from('{}'), outputBytes: 0 })),
      probe: () => Promise.resolve(),
    };
    await run(route('a', undefined, { adapter }));
    expect(calls).toEqual([]);
    await run(route('a', undefined, { adapter, probe: 'paid' }));
    await run(route('e', undefined, { adapter, probe: 'paid', operation: 'embeddings' }));
    // A picture a minute is too much for a probe.
    expect(await run(route('i', undefined, { adapter, probe: 'paid', operation: 'images' }))).toEqual({ outcome: 'ok' });
    expect(calls).toEqual([
      { model: 'a', messages: [{ role: 'user', content: 'ping' }], max_tokens: 1 },
      { model: 'e', input: 'ping' },
    ]);
  });
});

describe('the prober', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  function setup(options: { concurrency?: number; random?: () => number } = {}) {
    const results: [string, ProbeResult['outcome']][] = [];
    const prober = new Prober({
      transport,
      intervalMs: 10_000,
      timeoutMs: 1000,
      concurrency: options.concurrency ?? 4,
      onResult: (r, result) => results.push([r.id, result.outcome]),
      random: options.random ?? (() => 0.5),
    });
    return { prober, results };
  }

  it('probes nothing until it is started, then each route at its interval with jitter', async () => {
    const { prober, results } = setup({ random: () => 0 });
    prober.set(route('a', () => Promise.resolve()));
    await jest.advanceTimersByTimeAsync(60_000);
    expect(results).toHaveLength(0);
    prober.start();
    await jest.advanceTimersByTimeAsync(1);
    expect(results).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(8498);
    expect(results).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(2);
    expect(results).toHaveLength(2);
    prober.stop();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(results).toHaveLength(2);
  });

  it('keeps its bound, and a route that hangs does not hold up the others', async () => {
    const { prober, results } = setup({ concurrency: 2, random: () => 0 });
    let under = 0;
    let most = 0;
    const slow = async () => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 100));
      under -= 1;
    };
    for (let index = 0; index < 10; index++) prober.set(route(`r${index}`, slow));
    prober.start();
    await jest.advanceTimersByTimeAsync(600);
    expect(most).toBe(2);
    expect(new Set(results.map(([id]) => id)).size).toBe(10);
    prober.stop();
  });

  it('does not tell the answer of a route that was replaced or removed meanwhile', async () => {
    const { prober, results } = setup({ random: () => 0 });
    const slow = () => new Promise<void>((resolve) => setTimeout(resolve, 500));
    prober.set(route('a', slow));
    prober.set(route('b', slow));
    prober.start();
    await jest.advanceTimersByTimeAsync(10);
    prober.set(route('a', () => Promise.reject(new ProviderError('auth'))));
    prober.remove('b');
    await jest.advanceTimersByTimeAsync(1000);
    expect(results).toEqual([['a', 'failed']]);
    prober.stop();
  });
});
