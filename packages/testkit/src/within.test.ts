import { describe, expect, it } from '@jest/globals';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { within } from './within.js';

describe('within', () => {
  it('gives what the work gives, its failure too', async () => {
    expect(await within(100, Promise.resolve('done'))).toBe('done');
    await expect(within(100, Promise.reject(new Error('of the work')))).rejects.toThrow('of the work');
  });

  it('rejects what takes longer', async () => {
    await expect(within(20, new Promise(() => undefined))).rejects.toThrow('took longer than 20 ms');
  });

  it('does not count the time in which the process stood still', async () => {
    const stalled = async (): Promise<string> => {
      await delay(5);
      const until = performance.now() + 300;
      while (performance.now() < until);
      await turn();
      await delay(5);
      return 'in time';
    };
    expect(await within(100, stalled())).toBe('in time');
  });
});
