import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { call, createAgent, startLoad, type CallKind, type CallOptions, type Outcome } from './support/load.js';
import { newStory, share, type Story } from './support/scenario.js';

/** Limits and budgets that concurrency cannot break, on two edge processes. */

let story: Story;

/** At most 12 prompt tokens at 500 nano and 31 of output at 1,500: what one call can cost. */
const CALL_NANO_MAX = 12 * 500 + 31 * 1_500;
/** Ten times what a call with `max_tokens: 31` holds. */
const TEN_CALLS_USD = 0.00056;

const tenants = ['budget', 'strict', 'requests', 'fresh', 'hot', 'calm'];

beforeAll(async () => {
  const stack = await startFaultStack({
    edges: 2,
    ownServers: [],
    config: {
      bootstrap: {
        tenants: ['test', ...tenants].map((name) => ({ name })),
        api_keys: ['test', ...tenants].map((name) => ({ tenant: name, prefix: name, secret: 'test-secret', name })),
        tenant_budgets: [
          { tenant: 'budget', budget_usd: TEN_CALLS_USD },
          { tenant: 'strict', budget_usd: TEN_CALLS_USD, enforcement: 'strict' },
        ],
        tenant_limits: [
          { tenant: 'requests', requests_per_minute: 100 },
          { tenant: 'hot', requests_per_minute: 60 },
        ],
      },
    },
  });
  story = newStory(stack);
});

afterAll(cleanUp);

const keyOf = (tenant: string): string => `sk-${tenant}.test-secret`;

async function atOnce(count: number, kind: CallKind, options: CallOptions): Promise<Outcome[]> {
  const agent = createAgent();
  const { edges } = story.stack;
  const outcomes = await Promise.all(Array.from({ length: count }, (_, i) => call(agent, edges[i % edges.length]!.url, kind, options)));
  story.outcomes.push(...outcomes);
  return outcomes;
}

const books = () => checkBooks(story.stack, { outcomes: story.outcomes, provider: story.stack.provider });
const statuses = (outcomes: readonly Outcome[], status: number) => outcomes.filter((outcome) => outcome.status === status);

async function spentNano(outcomes: readonly Outcome[]): Promise<number> {
  let spent = 0;
  for (const { callId } of outcomes) {
    for (const one of story.stack.provider.callsOf(callId)) spent += one.promptTokens * 500 + one.completionTokens * 1_500;
  }
  return spent;
}

describe('budgets', () => {
  it('200 concurrent calls on a budget for about ten: the overshoot stays below what running calls can add', async () => {
    const outcomes = await atOnce(200, 'chat', { key: keyOf('budget'), maxTokens: 31 });
    const served = statuses(outcomes, 200);
    const limitNano = TEN_CALLS_USD * 1e9;
    const spent = await spentNano(served);
    printFigures('200 calls on a budget for ten', { ...(await books()), served: served.length, limitNano, spentNano: spent });
    expect(served.length).toBeGreaterThan(5);
    expect(statuses(outcomes, 403).every((outcome) => outcome.errorCode === 'budget_exceeded')).toBe(true);
    expect(served.length + statuses(outcomes, 403).length).toBe(200);
    // A call that found less left than it wanted holds what was left; only those calls can pass the limit, each by less
    // than its cost, and no more of them run at a time than calls for which the budget had room.
    expect(spent).toBeLessThanOrEqual(limitNano + 10 * CALL_NANO_MAX);
  });

  it('with strict enforcement the budget is never passed', async () => {
    const outcomes = await atOnce(200, 'chat', { key: keyOf('strict'), maxTokens: 31 });
    const spent = await spentNano(statuses(outcomes, 200));
    printFigures('200 calls, strict', { ...(await books()), served: statuses(outcomes, 200).length, spentNano: spent });
    expect(statuses(outcomes, 200).length).toBeGreaterThan(2);
    expect(spent).toBeLessThanOrEqual(TEN_CALLS_USD * 1e9);
  });
});

describe('rate limits', () => {
  it('1,000 concurrent calls on a limit of 100 per minute: exactly 100 are served, on two edges together', async () => {
    const outcomes = await atOnce(1_000, 'chat', { key: keyOf('requests') });
    printFigures('1,000 calls on 100 per minute', { ...(await books()), served: statuses(outcomes, 200).length });
    expect(statuses(outcomes, 200)).toHaveLength(100);
    expect(statuses(outcomes, 429)).toHaveLength(900);
    for (const refused of statuses(outcomes, 429)) expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('64 first-ever calls of a new key at the same moment are all served', async () => {
    const outcomes = await atOnce(64, 'chat', { key: keyOf('fresh'), maxTokens: 31 });
    printFigures('64 first calls', { ...(await books()), served: statuses(outcomes, 200).length });
    expect(statuses(outcomes, 200)).toHaveLength(64);
  });

  it('a tenant at ten times its limit does not slow its calm neighbour down', async () => {
    const urls = story.stack.edges.map((edge) => edge.url);
    const alone = startLoad(urls, 20, { key: keyOf('calm') });
    await wait(3_000);
    const quiet = await alone.stop();
    const hot = startLoad(urls, 100, { key: keyOf('hot') });
    const calm = startLoad(urls, 20, { key: keyOf('calm') });
    await wait(5_000);
    const [hotOutcomes, calmOutcomes] = await Promise.all([hot.stop(), calm.stop()]);
    story.outcomes.push(...quiet, ...hotOutcomes, ...calmOutcomes);
    const [alonePercentile, besidePercentile] = [percentile(quiet, 0.5), percentile(calmOutcomes, 0.5)];
    printFigures('hot beside calm', {
      ...(await books()),
      hotServed: statuses(hotOutcomes, 200).length,
      calmMedianAloneMs: alonePercentile,
      calmMedianBesideMs: besidePercentile,
    });
    expect(statuses(hotOutcomes, 200).length).toBeLessThanOrEqual(60);
    expect(share(calmOutcomes, (outcome) => outcome.status === 200 && outcome.whole)).toBe(1);
    expect(besidePercentile).toBeLessThan(alonePercentile * 3 + 20);
  });
});

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function percentile(outcomes: readonly Outcome[], p: number): number {
  const sorted = outcomes.map((outcome) => outcome.durationMs).sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length * p)] ?? 0);
}
