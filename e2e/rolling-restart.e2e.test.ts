import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startServiceBalancer, startStack, waitFor, type RunningApp, type ServiceBalancer, type TestStack } from '@omg/testkit';
import { checkBooks, printFigures } from './faults/support/books.js';
import { call, createAgent, startLoad, type Outcome } from './faults/support/load.js';
import { startMockProvider, type MockProvider } from './faults/support/mock-provider.js';

/** What a rolling update of the edges' Deployment does, with one pod more while it lasts, while clients go on calling. */

const NOTICE_MS = 4_000;
const DRAIN_MS = 8_000;
/** The process's own end after the drain: flushing usage, closing connections. Some 100 ms where no other process wants the machine. */
const END_MS_MAX = 20_000;
const CALLS_PER_SECOND = 20;

let stack: TestStack;
let provider: MockProvider;
let balancer: ServiceBalancer;
let edges: RunningApp[];
const formerApps: RunningApp[] = [];
const outcomes: Outcome[] = [];

beforeAll(async () => {
  provider = await startMockProvider();
  stack = await startStack({
    edges: 2,
    upstreamUrl: provider.url,
    config: {
      // Streams that are held say nothing for as long as it takes to replace both edges.
      server: { listen_addr: '127.0.0.1:0', shutdown_notice: `${NOTICE_MS}ms`, graceful_shutdown_delay: `${DRAIN_MS}ms`, stream_idle_timeout: '300s' },
    },
  });
  edges = [...stack.edges];
  balancer = await startServiceBalancer({ probeMs: 100 });
  for (const edge of edges) balancer.add(edge.url);
  await waitFor(() => balancer.ready().length === 2);
});

afterAll(cleanUp);

/** A new edge is ready before an old one is told to go; the next one follows when that one has ended. Resolves with how long each took. */
async function replaceEdges(): Promise<number[]> {
  const tookMs: number[] = [];
  for (const old of edges) {
    const fresh = await stack.addEdge();
    balancer.add(fresh.url);
    await waitFor(() => balancer.ready().includes(fresh.url), { what: 'the new edge to take part' });
    const toldAt = performance.now();
    old.signal('SIGTERM');
    expect(await old.exited).toBe('exit code 0');
    tookMs.push(Math.round(performance.now() - toldAt));
    expect(old.logs.at(-1)).toMatchObject({ msg: 'stopped', failed: [] });
    balancer.remove(old.url);
    formerApps.push(old);
    edges = [...edges.filter((edge) => edge !== old), fresh];
  }
  return tookMs;
}

const badOnes = (all: readonly Outcome[]) =>
  all.filter(({ status, whole }) => status !== 200 || !whole).map(({ kind, status, error, errorCode }) => ({ kind, status, error, errorCode }));

describe('a rolling restart of two edges under load', () => {
  it('fails no request and cuts no stream that ends within the drain', async () => {
    // Streams of up to 1.5 s: many are open whenever an edge is told to go.
    provider.pace.chunkMs = 50;
    const load = startLoad([balancer.url], CALLS_PER_SECOND, { atOnceMax: 20 });
    const tookMs = await replaceEdges();
    const done = await load.stop();
    outcomes.push(...done);
    printFigures('rolling restart under load', { ...(await checkBooks(stack, { outcomes, provider, formerApps })), tookMs: tookMs.join(', ') });
    expect(badOnes(done)).toEqual([]);
    expect(done.filter(({ kind }) => kind === 'stream').length).toBeGreaterThan(10);
    expect(balancer.refused).toBe(0);
    // The new ones got connections although every client keeps its own open.
    for (const edge of edges) expect(balancer.given.get(edge.url)).toBeGreaterThan(0);
    for (const ms of tookMs) expect(ms).toBeLessThan(NOTICE_MS + DRAIN_MS + END_MS_MAX);
  });

  it('ends streams that would go on for ever at the drain deadline, with an error frame, and still fails nothing else', async () => {
    provider.pace.chunkMs = 10;
    provider.pace.held = true;
    const agent = createAgent();
    const endless = Array.from({ length: 20 }, () => call(agent, balancer.url, 'stream', { timeoutMs: 300_000 }));
    await waitFor(() => provider.openStreams === 20, { what: '20 open streams' });
    const load = startLoad([balancer.url], CALLS_PER_SECOND, { kinds: ['chat', 'embeddings'], atOnceMax: 20 });
    const tookMs = await replaceEdges();
    const cut = await Promise.all(endless);
    provider.pace.held = false;
    const others = await load.stop();
    outcomes.push(...cut, ...others);
    printFigures('rolling restart with endless streams', { ...(await checkBooks(stack, { outcomes, provider, formerApps })), tookMs: tookMs.join(', ') });
    expect(badOnes(others)).toEqual([]);
    for (const one of cut) expect(one).toMatchObject({ status: 200, whole: false, lastEvent: expect.stringContaining('shutting_down') });
    for (const ms of tookMs) {
      expect(ms).toBeGreaterThanOrEqual(NOTICE_MS + DRAIN_MS - 50);
      expect(ms).toBeLessThan(NOTICE_MS + DRAIN_MS + END_MS_MAX);
    }
  });
});
