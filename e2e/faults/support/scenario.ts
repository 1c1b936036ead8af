import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { RunningApp } from '@omg/testkit';
import { checkBooks, printFigures, type BooksOptions } from './books.js';
import type { FaultStack } from './fault-stack.js';
import { startLoad, type LoadOptions, type Outcome } from './load.js';

/** One stack, several scenarios one after the other: the books are checked over everything that happened so far. */
export interface Story {
  stack: FaultStack;
  outcomes: Outcome[];
  formerApps: RunningApp[];
}

export const newStory = (stack: FaultStack): Story => ({ stack, outcomes: [], formerApps: [] });

export interface Scenario {
  name: string;
  perSecond: number;
  /** Load before the fault, and after `heal`. */
  beforeMs: number;
  afterMs: number;
  fault: () => Promise<void>;
  /** How long the fault lasts. */
  lastsMs: number;
  heal: () => Promise<void>;
  call?: LoadOptions;
  /** After the load everything must be booked within this time. Default: the bound of the books themselves. */
  settledWithinMs?: number;
  books?: Partial<BooksOptions>;
}

/** Load, fault, load through the fault, healing, load; then the books. Returns the outcomes of this scenario. */
export async function play(story: Story, scenario: Scenario): Promise<Outcome[]> {
  const { stack } = story;
  const load = startLoad(
    stack.edges.map((edge) => edge.url),
    scenario.perSecond,
    scenario.call,
  );
  let outageMs = 0;
  let outcomes: Outcome[];
  try {
    await delay(scenario.beforeMs);
    const faultAt = performance.now();
    await scenario.fault();
    await delay(scenario.lastsMs);
    await scenario.heal();
    outageMs = Math.round(performance.now() - faultAt);
    await delay(scenario.afterMs);
  } finally {
    // Also when the fault or its healing failed: a load that goes on would fail every scenario after this one.
    outcomes = await load.stop();
  }
  story.outcomes.push(...outcomes);
  const options = { outcomes: story.outcomes, provider: stack.provider, formerApps: story.formerApps, ...scenario.books };
  const figures = await checkBooks(stack, options);
  const statuses: Record<string, number> = {};
  for (const { status, errorCode } of outcomes) {
    const name = errorCode ? `${status}/${errorCode}` : String(status);
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  const slowestMs = Math.round(Math.max(0, ...outcomes.map((outcome) => outcome.durationMs)));
  printFigures(scenario.name, { ...figures, outageMs, thisRun: JSON.stringify(statuses), slowestMs });
  if (scenario.settledWithinMs !== undefined) expect(figures.settledAfterMs).toBeLessThan(scenario.settledWithinMs);
  return outcomes;
}

export const share = (outcomes: readonly Outcome[], matches: (outcome: Outcome) => boolean): number =>
  outcomes.length === 0 ? 0 : outcomes.filter(matches).length / outcomes.length;

/** A Postgres whose postmaster was killed refuses to start until its orphans have noticed. */
export async function againSoon<T>(start: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(250);
    }
  }
}
