import { describe, expect, it } from '@jest/globals';
import type { UsageMessage } from '@omg/storage';
import { UsageIntake } from './usage-intake.js';

const message = (streamSequence: number): UsageMessage => ({
  messageId: `batch-${streamSequence}`,
  payload: Buffer.from('{}'),

  streamSequence,
  publishedAtMs: 0,
  deliveries: 1,
  ackSubject: `ack.${streamSequence}`,
});

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await Promise.resolve();
};

describe('a message that arrives in the very moment in which the one before it was queued', () => {
  it('is queued too, without waiting for a third one', async () => {
    for (let late = 0; late < 12; late++) {
      const queued: number[] = [];
      const stopping = new AbortController();
      const intake = new UsageIntake({
        queue: { add: (jobs) => Promise.resolve(void queued.push(...jobs.map(({ data }) => data.streamSequence))) },
        held: { receive: () => true, queued: () => undefined, done: () => undefined },
        deadLetter: () => Promise.resolve(),
        acknowledge: () => undefined,
        onWait: () => undefined,
        onMessage: () => undefined,
        nowMs: () => 0,
        signal: stopping.signal,
      });
      intake.take(message(1));
      await turns(late);
      intake.take(message(2));
      await turns(50);
      expect({ late, queued }).toEqual({ late, queued: [1, 2] });
    }
  });
});
