import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, waitFor } from '@omg/testkit';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { call, createAgent, type CallOptions, type Outcome } from './support/load.js';
import { newStory, type Story } from './support/scenario.js';

/** Clients that leave and a gateway that is told to go, both in the middle of streams. */

let story: Story;

beforeAll(async () => {
  story = newStory(await startFaultStack({ edges: 2, ownServers: [], config: { server: { listen_addr: '127.0.0.1:0', graceful_shutdown_delay: '20s' } } }));
});

afterAll(cleanUp);

function streams(count: number, edgeUrl: string, options: CallOptions = {}): Promise<Outcome>[] {
  const agent = createAgent();
  return Array.from({ length: count }, () => call(agent, edgeUrl, 'stream', options));
}

const books = () => checkBooks(story.stack, { outcomes: story.outcomes, provider: story.stack.provider, formerApps: story.formerApps });

describe('1,000 clients leave at once in mid-stream', () => {
  it('every upstream call is cancelled, what was produced is billed, nothing stays open', async () => {
    const { stack } = story;
    stack.provider.pace.held = true;
    const leaving = new AbortController();
    const running = streams(1_000, stack.edge.url, { signal: leaving.signal, timeoutMs: 60_000 });
    await waitFor(() => stack.provider.openStreams === 1_000, { what: '1,000 open streams' });
    const leftAt = performance.now();
    leaving.abort();
    story.outcomes.push(...(await Promise.all(running)));
    await waitFor(() => stack.provider.openStreams === 0, { what: 'all upstream streams to be cancelled' });
    const cancelledAfterMs = Math.round(performance.now() - leftAt);
    stack.provider.pace.held = false;
    const figures = await books();
    printFigures('1,000 clients leave', { ...figures, cancelledAfterMs });
    expect(stack.provider.calls.filter((one) => one.kind === 'stream' && one.aborted)).toHaveLength(1_000);
    expect(figures.usageRows).toBe(1_000);
    expect(Number(figures.spentUsd)).toBeGreaterThan(0);
  });
});

describe('200 open streams at SIGTERM', () => {
  it('finish whole within the drain deadline, and the process ends by itself', async () => {
    const { stack } = story;
    stack.provider.pace.held = true;
    const edge = stack.edges[1]!;
    const running = streams(200, edge.url);
    await waitFor(() => stack.provider.openStreams === 200, { what: '200 open streams' });
    edge.signal('SIGTERM');
    stack.provider.pace.held = false;
    const signalledAt = performance.now();
    const how = await edge.exited;
    const exitAfterMs = Math.round(performance.now() - signalledAt);
    const outcomes = await Promise.all(running);
    story.outcomes.push(...outcomes);
    printFigures('200 streams at SIGTERM', { ...(await books()), whole: outcomes.filter((outcome) => outcome.whole).length, exit: how, exitAfterMs });
    expect(outcomes.filter((outcome) => outcome.status === 200 && outcome.whole)).toHaveLength(200);
    expect(how).toMatch(/0/);
    // Well before the deadline: nothing but the streams holds it.
    expect(exitAfterMs).toBeLessThan(15_000);
  });

  it('those that do not finish are ended with an error frame and billed for what they sent', async () => {
    const { stack } = story;
    story.formerApps.push(stack.edges[1]!);
    stack.edges[1] = await stack.edges[1]!.again();
    stack.provider.pace.held = true;
    const edge = stack.edges[1];
    const running = streams(50, edge.url, { timeoutMs: 60_000 });
    await waitFor(() => stack.provider.openStreams === 50, { what: '50 open streams' });
    edge.signal('SIGTERM');
    await edge.exited;
    const outcomes = await Promise.all(running);
    story.outcomes.push(...outcomes);
    stack.provider.pace.held = false;
    const figures = await books();
    printFigures('50 endless streams at SIGTERM', { ...figures, whole: outcomes.filter((outcome) => outcome.whole).length });
    expect(outcomes.filter((outcome) => outcome.whole)).toHaveLength(0);
  });
});
