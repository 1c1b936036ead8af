import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { startLoad, type Outcome } from './support/load.js';
import { newStory, share, type Story } from './support/scenario.js';

/** A Redis that hangs with its sockets open, with the time limit for it as in production: nobody waits for it. */

/** Default of `edge.redis_timeout`, which the other fault tests make longer. */
const REDIS_TIMEOUT_MS = 80;
/** Beyond the time limit: the whole call, its provider included, on a machine that runs the load and all processes too. */
const BEYOND_MS = 100;
/** Low enough that no call waits for another one's processor time. */
const PER_SECOND = 10;

let story: Story;

beforeAll(async () => {
  story = newStory(
    await startFaultStack({
      ownServers: ['redis'],
      config: { edge: { lease: '5s', redis_timeout: `${REDIS_TIMEOUT_MS}ms` } },
    }),
  );
});

afterAll(cleanUp);

const ended = (outcome: Outcome): boolean => (outcome.status === 200 && outcome.whole) || outcome.errorCode !== undefined;
const slowest = (outcomes: readonly Outcome[]): number => Math.round(Math.max(0, ...outcomes.map((outcome) => outcome.durationMs)));
/** All but one in ten: on a machine that is busy with other things single calls wait for their processor, not for Redis. */
const mostWithin = (outcomes: readonly Outcome[]): number =>
  Math.round(outcomes.map((outcome) => outcome.durationMs).toSorted((a, b) => a - b)[Math.ceil(outcomes.length * 0.9) - 1] ?? 0);
const median = (outcomes: readonly Outcome[]): number =>
  Math.round(outcomes.map((outcome) => outcome.durationMs).toSorted((a, b) => a - b)[outcomes.length >> 1] ?? 0);

describe('a Redis that hangs', () => {
  for (const lastsMs of [2_000, 20_000]) {
    it(`for ${lastsMs / 1000} s: calls have their answer or refusal within ${REDIS_TIMEOUT_MS} + ${BEYOND_MS} ms, and none waits`, async () => {
      const { stack } = story;
      const load = startLoad([stack.edge.url], PER_SECOND);
      await delay(2_000);
      const before = load.outcomes.length;
      stack.redis!.pause();
      await delay(lastsMs);
      // Those that came while it hung, and at the most two that came a moment before.
      const during = load.outcomes.slice(before);
      stack.redis!.resume();
      await delay(2_000);
      const outcomes = await load.stop();
      story.outcomes.push(...outcomes);
      const figures = await checkBooks(stack, { outcomes: story.outcomes, provider: stack.provider });
      printFigures(`redis hangs ${lastsMs / 1000} s, production time limit`, {
        ...figures,
        callsDuringHang: during.length,
        answeredDuringHang: during.filter((outcome) => outcome.status === 200).length,
        medianMs: median(during),
        ninetyPercentMs: mostWithin(during),
        slowestMs: slowest(during),
        slowestOfAllMs: slowest(outcomes),
      });
      expect(during.length).toBeGreaterThan((lastsMs / 1_000) * PER_SECOND * 0.8);
      expect(share(outcomes, ended)).toBe(1);
      expect(mostWithin(during)).toBeLessThan(REDIS_TIMEOUT_MS + BEYOND_MS);
      // A call that waited for Redis would take as long as the hang.
      expect(slowest(during)).toBeLessThan(1_500);
    });
  }
});
