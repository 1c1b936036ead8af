import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { Redis } from 'ioredis';
import { startFaultStack } from './support/fault-stack.js';
import { againSoon, newStory, play, share, type Story } from './support/scenario.js';
import type { Outcome } from './support/load.js';

/** Redis forgets everything, or its clock and the edges' clocks disagree: Postgres stays the truth. */

let story: Story;

beforeAll(async () => {
  story = newStory(await startFaultStack({ edges: 2 }));
});

afterAll(cleanUp);

const answered = (outcome: Outcome) => outcome.status === 200 && outcome.whole;
const PACE = { perSecond: 60, beforeMs: 2_000, lastsMs: 500, afterMs: 3_000 };

async function flushAll(): Promise<void> {
  const redis = new Redis(story.stack.redisUrl);
  await redis.flushall();
  redis.disconnect();
}

describe('Redis loses its memory under load', () => {
  it('FLUSHALL, twice: every answered call is booked once, budgets are seeded from Postgres again', async () => {
    const outcomes = await play(story, { name: 'FLUSHALL twice', ...PACE, fault: flushAll, heal: flushAll });
    expect(share(outcomes, answered)).toBeGreaterThan(0.97);
  });

  it('an orderly restart', async () => {
    const { redis } = story.stack;
    const outcomes = await play(story, {
      name: 'redis restart',
      ...PACE,
      fault: () => redis!.stop(),
      heal: async () => {
        story.stack.redis = await againSoon(() => redis!.again());
      },
    });
    expect(share(outcomes, answered)).toBeGreaterThan(0.97);
  });
});
