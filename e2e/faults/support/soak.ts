import { expect } from '@jest/globals';
import { startStack } from '@omg/testkit';
import { setTimeout as delay } from 'node:timers/promises';
import { checkBooks, printFigures } from './books.js';
import { startLoad } from './load.js';
import { startMockProvider, type MockProvider, type ProviderCall, type Trouble } from './mock-provider.js';

/**
 * One of three routes flaps while callers come at a fixed rate: it answers with errors, hangs or breaks its connections for some
 * seconds, then works again for some. The other two could have served every call.
 */
export interface SoakOptions {
  seconds: number;
  perSecond: number;
}

const TROUBLES: readonly Trouble[] = ['error', 'hang', 'reset'];
const TROUBLED_MS = 4_000;
const HEALTHY_MS = 4_000;
const ROUTES = 3;

export async function soak({ seconds, perSecond }: SoakOptions): Promise<void> {
  const providers = await Promise.all(Array.from({ length: ROUTES }, startMockProvider));
  const flapping = providers[0]!;
  const stack = await startStack({
    upstreamUrl: flapping.url,
    config: {
      // A hanging call costs its caller two seconds, and a route that recovered is used again soon: the hardest flapping.
      server: { listen_addr: '127.0.0.1:0', provider_timeout: '2s' },
      health: { cooldown: '5s', check_interval: '5s' },
      model_catalog: providers.flatMap(({ url }, index) => catalogOf(url, index)),
    },
  });
  const load = startLoad([stack.edge.url], perSecond);
  const endAt = performance.now() + seconds * 1_000;
  const left = (): number => Math.max(0, endAt - performance.now());
  let flaps = 0;
  for (; left() > 0; flaps++) {
    await delay(Math.min(HEALTHY_MS, left()));
    if (left() === 0) break;
    flapping.trouble = TROUBLES[flaps % TROUBLES.length]!;
    await delay(Math.min(TROUBLED_MS, left()));
    flapping.trouble = undefined;
  }
  const outcomes = await load.stop();
  const provider = together(providers);
  const figures = await checkBooks(stack, { outcomes, provider });
  const byRoute = providers.map((one) => one.calls.length).join('/');
  const failed = outcomes.filter(({ status, whole }) => status !== 200 || !whole);
  const durations = outcomes.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const at = (share: number): number => Math.round(durations[Math.floor((durations.length - 1) * share)] ?? 0);
  const upstreamRatio = provider.calls.length / outcomes.length;
  const moved = outcomes.filter(({ headers }) => Number(headers['x-omg-attempts'] ?? 1) > 1).length;
  const latency = `${at(0.5)}/${at(0.99)}/${at(1)}`;
  printFigures(`one of three routes flaps for ${seconds} s`, {
    ...figures,
    flaps,
    failed: failed.length,
    failedOver: moved,
    upstreamRatio: upstreamRatio.toFixed(4),
    byRoute,
    'p50/p99/max ms': latency,
  });
  expect(failed.slice(0, 3)).toEqual([]);
  expect(failed).toHaveLength(0);
  expect(upstreamRatio).toBeLessThanOrEqual(1.2);
  // The troubles were real, and the flapping route was used in between.
  expect(moved).toBeGreaterThan(flaps / 2);
  expect(flapping.calls.filter((call) => call.finished).length).toBeGreaterThan(0);
  expect(outcomes.length).toBeGreaterThan(seconds * perSecond * 0.9);
}

function catalogOf(endpoint: string, index: number): object[] {
  const route = { provider: 'openai-compatible', endpoint, api_key: 'upstream-key' };
  return [
    { ...route, alias: 'test-chat', provider_model: `chat-${index}`, max_output_tokens: 4096, price_input: 0.0005, price_output: 0.0015 },
    { ...route, alias: 'test-embed', provider_model: `embed-${index}`, model_type: 'embedding', modalities: ['embeddings'], price_input: 0.00002 },
  ];
}

/** What all three saw, for the books. */
function together(providers: readonly MockProvider[]): MockProvider {
  const [first] = providers;
  const calls: ProviderCall[] = providers.flatMap((one) => one.calls);
  return { url: first!.url, pace: first!.pace, trouble: undefined, openStreams: 0, calls, callsOf: (id) => providers.flatMap((one) => one.callsOf(id)) };
}
