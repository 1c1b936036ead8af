import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, PATIENT } from '@omg/testkit';
import { startFaultStack } from './faults/support/fault-stack.js';
import { newStory, play, type Story } from './faults/support/scenario.js';

let story: Story;

beforeAll(async () => {
  story = newStory(await startFaultStack({ ownServers: [], config: PATIENT }));
});

afterAll(cleanUp);

describe('kill -9 of the recorder in mid-load', () => {
  it("leaves exactly one row per answered request, with the provider's numbers and the exact cost", async () => {
    const kill = async () => {
      await story.stack.recorder.kill();
      story.formerApps.push(story.stack.recorder);
      story.stack.recorder = await story.stack.recorder.again();
    };
    // Twice, so that the second death meets the first one's unfinished work.
    const outcomes = await play(story, {
      name: 'kill recorder twice',
      perSecond: 25,
      call: { atOnceMax: 20 },
      beforeMs: 1_500,
      fault: kill,
      lastsMs: 1_000,
      heal: kill,
      afterMs: 1_500,
    });
    expect(outcomes.length).toBeGreaterThan(60);
    expect(outcomes.filter((outcome) => outcome.status !== 200 || !outcome.whole)).toEqual([]);
  });
});
