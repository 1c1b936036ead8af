import { describe, expect, it } from '@jest/globals';
import type { AuthStore } from '@omg/storage';
import { LoginThrottle } from './login-throttle.js';

const away = () => Promise.reject(new Error('away'));
const STORE_AWAY = { countAttempt: away, attemptWindowLeftMs: away, forgiveAttempt: away } as unknown as AuthStore;

describe('guessing of passwords while Redis is away', () => {
  it('is bounded per address, also for whoever signs in with an account of his own in between', async () => {
    const throttle = new LoginThrottle(STORE_AWAY);
    const guesses = async (times: number, from: number): Promise<number> => {
      let taken = 0;
      for (let i = 0; i < times; i++) {
        await throttle.admit(`victim-${from + i}@example.com`, '192.0.2.1').then(
          () => taken++,
          () => undefined,
        );
      }
      return taken;
    };
    expect(await guesses(90, 0)).toBe(90);
    await throttle.admit('own@example.com', '192.0.2.1');
    await throttle.forgive('own@example.com', '192.0.2.1');
    expect(await guesses(20, 90)).toBe(10);
  });
});
