import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { HeldMessages } from './held-messages.js';

const BEAT_MS = 1_000;

let kept: string[];
let missing: (ids: readonly string[]) => Promise<string[]>;
let asked: string[][];
let held: HeldMessages;

beforeEach(() => {
  jest.useFakeTimers();
  kept = [];
  asked = [];
  missing = () => Promise.resolve([]);
  held = new HeldMessages({
    keep: (subject) => void kept.push(subject),
    missingJobs: (ids) => {
      asked.push([...ids]);
      return missing(ids);
    },
    ackWaitMs: 5 * BEAT_MS,
  });
});

afterEach(() => {
  held.close();
  jest.useRealTimers();
});

const message = (streamSequence: number, ackSubject = `ack.${streamSequence}`) => ({ streamSequence, ackSubject });

async function beats(count: number): Promise<string[]> {
  kept = [];
  await jest.advanceTimersByTimeAsync(count * BEAT_MS);
  return kept;
}

describe('a message that this process received', () => {
  it('is kept several times within the wait for its acknowledgement, and no more once it is done', async () => {
    held.receive(message(1));
    expect(await beats(5)).toHaveLength(5);
    held.done(1);
    expect(await beats(5)).toEqual([]);
    expect(held.size).toBe(0);
  });

  it('is not taken twice when it is delivered again; its newest subject counts', async () => {
    expect(held.receive(message(1, 'ack.first'))).toBe(true);
    expect(held.receive(message(1, 'ack.second'))).toBe(false);
    expect(await beats(1)).toEqual(['ack.second']);
  });

  it('is kept while its job is in the queue, whoever will run it, and let go once it is not there any more', async () => {
    held.receive(message(1));
    held.queued(1, 'batch-1');
    expect(await beats(4)).toHaveLength(4);
    missing = (ids) => Promise.resolve([...ids]);
    await beats(1);
    expect(await beats(3)).toEqual([]);
    expect(held.receive(message(1))).toBe(true);
  });

  it('is not looked up in the queue before a whole beat, since most jobs are done by then', async () => {
    held.receive(message(1));
    held.queued(1, 'batch-1');
    await beats(1);
    expect(asked).toEqual([]);
    await beats(1);
    expect(asked).toEqual([['batch-1']]);
  });

  it('is kept while Redis does not answer, with one question under way', async () => {
    missing = () => new Promise(() => undefined);
    held.receive(message(1));
    held.queued(1, 'batch-1');
    expect(await beats(20)).toHaveLength(20);
    expect(asked).toHaveLength(1);
  });

  it('is kept when the queue cannot be asked, and asked about again', async () => {
    missing = () => Promise.reject(new Error('connection closed'));
    held.receive(message(1));
    held.queued(1, 'batch-1');
    expect(await beats(5)).toHaveLength(5);
    expect(asked).toHaveLength(4);
  });
});

describe('a message whose job this process runs', () => {
  it('is kept although another process received it, until it is done', async () => {
    held.running(7, 'batch-7', 'ack.7');
    expect(await beats(5)).toHaveLength(5);
    expect(asked).toEqual([]);
    held.done(7);
    expect(await beats(2)).toEqual([]);
  });

  it('is kept while the job that failed waits in the queue for its next try', async () => {
    held.running(7, 'batch-7', 'ack.7');
    held.returned(7);
    expect(await beats(3)).toHaveLength(3);
    expect(asked.length).toBeGreaterThan(0);
  });

  it('is not let go when its job begins while the queue is being asked', async () => {
    let answer: (ids: string[]) => void = () => undefined;
    missing = () => new Promise((resolve) => (answer = resolve));
    held.receive(message(7));
    held.queued(7, 'batch-7');
    await beats(2);
    held.running(7, 'batch-7', 'ack.7');
    answer(['batch-7']);
    expect(await beats(2)).toHaveLength(2);
  });
});
