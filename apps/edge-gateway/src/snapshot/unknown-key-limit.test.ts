import { describe, expect, it } from '@jest/globals';
import { UnknownKeyLimit } from './unknown-key-limit.js';

function limitOf(options = { burst: 3, perSecond: 2, addressesMax: 2 }) {
  const clock = { ms: 1000 };
  const limit = new UnknownKeyLimit(options, () => clock.ms);
  const guess = (address: string, times: number): void => {
    for (let i = 0; i < times; i++) limit.onUnknown(address);
  };
  return { clock, limit, guess };
}

describe('lookups of keys that do not exist', () => {
  it('are granted up to the burst, then as many as a second gives back', () => {
    const { clock, limit, guess } = limitOf();
    guess('10.0.0.1', 2);
    expect(limit.waitMs('10.0.0.1')).toBe(0);
    guess('10.0.0.1', 1);
    expect(limit.waitMs('10.0.0.1')).toBe(500);
    clock.ms += 400;
    expect(limit.waitMs('10.0.0.1')).toBe(100);
    clock.ms += 100;
    expect(limit.waitMs('10.0.0.1')).toBe(0);
    clock.ms += 3_600_000;
    guess('10.0.0.1', 3);
    expect(limit.waitMs('10.0.0.1')).toBe(500);
  });

  it('leave no debt behind that outlasts the guessing', () => {
    const { limit, guess } = limitOf();
    guess('10.0.0.1', 1000);
    expect(limit.waitMs('10.0.0.1')).toBe(500);
  });

  it('count for one address, of which an IPv6 subscriber has many', () => {
    const { limit, guess } = limitOf();
    guess('2001:db8:1:2::1', 3);
    expect(limit.waitMs('2001:db8:1:2:aaaa:bbbb:cccc:dddd')).toBe(500);
    expect(limit.waitMs('2001:db8:1:3::1')).toBe(0);
    guess('::ffff:10.0.0.1', 3);
    expect(limit.waitMs('::ffff:10.0.0.2')).toBe(0);
  });

  it('are remembered for a bounded number of addresses', () => {
    const { limit, guess } = limitOf();
    guess('10.0.0.1', 3);
    guess('10.0.0.2', 3);
    guess('10.0.0.3', 3);
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => limit.waitMs(address))).toEqual([0, 500, 500]);
  });
});
