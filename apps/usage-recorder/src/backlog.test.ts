import { Metrics } from '@omg/service-kit';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Backlog } from './backlog.js';
import { recorderMetrics } from './metrics.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('the backlog', () => {
  it('is told of the stream while a queue does not answer', async () => {
    const metrics = recorderMetrics(new Metrics({ service: 'test', version: '0' }, { runtime: false }));
    const oldestAtMs = Date.now();
    let redisAnswers: (depth: { waiting: number; active: number; delayed: number }) => void = () => undefined;
    const backlog = new Backlog({
      stream: () => Promise.resolve({ waiting: 3, unacknowledged: 2, deadLetters: 0, oldestAtMs }),
      metrics,
      depths: { usage: () => new Promise((resolve) => (redisAnswers = resolve)) },
    });
    await jest.advanceTimersByTimeAsync(5_000);
    expect(metrics.lag.value).toBe(5);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(metrics.lag.value).toBe(65);
    expect(backlog.lagMs).toBe(65_000);
    redisAnswers({ waiting: 1, active: 0, delayed: 4 });
    await jest.advanceTimersByTimeAsync(0);
    expect(metrics.queueJobs.child('usage', 'delayed').value).toBe(4);
    backlog.close();
  });
});
