import type { AlertState } from '@omg/database';
import { describe, expect, it } from '@jest/globals';
import { decide, levelOf, type Standing } from './alert-state.js';

const standing = (spentNano: bigint, windowId = 'daily:2026-11-23'): Standing => ({ windowId, spentNano, limitNano: 1000n, warningThreshold: 0.8 });
const silent: AlertState = { windowId: null, lastLevel: null, lastAlertAtMs: null };
const options = { nowMs: 1_000_000, cooldownMs: 60_000, hasChannels: true };
const after = (ms: number) => ({ ...options, nowMs: options.nowMs + ms });

describe('levelOf', () => {
  it.each([
    [799n, undefined],
    [800n, 'warning'],
    [999n, 'warning'],
    [1000n, 'exceeded'],
    [5000n, 'exceeded'],
  ])('of a spend of %d on a limit of 1000 with threshold 0.8 is %s', (spent, level) => {
    expect(levelOf(standing(spent))).toBe(level);
  });
});

describe('decide', () => {
  it('raises the first alert at once and remembers it', () => {
    expect(decide(silent, standing(850n), options)).toEqual({
      alert: 'warning',
      state: { windowId: 'daily:2026-11-23', lastLevel: 'warning', lastAlertAtMs: 1_000_000 },
    });
  });

  it('holds the same level back until the cooldown is over', () => {
    const { state } = decide(silent, standing(850n), options);
    expect(decide(state, standing(900n), after(59_999)).alert).toBeUndefined();
    expect(decide(state, standing(900n), after(60_000)).alert).toBe('warning');
  });

  it('raises a higher level at once, within the cooldown of the lower one', () => {
    const { state } = decide(silent, standing(850n), options);
    expect(decide(state, standing(1000n), after(1)).alert).toBe('exceeded');
  });

  it('holds a lower level back until the cooldown is over', () => {
    const { state } = decide(silent, standing(1000n), options);
    expect(decide(state, standing(900n), after(1)).alert).toBeUndefined();
    expect(decide(state, standing(900n), after(60_000)).alert).toBe('warning');
  });

  it('forgets when the spend falls below the threshold, and warns again at once', () => {
    const warned = decide(silent, standing(850n), options).state;
    const below = decide(warned, standing(10n), after(1)).state;
    expect(below.lastLevel).toBeNull();
    expect(decide(below, standing(850n), after(2)).alert).toBe('warning');
  });

  it('forgets in a new window', () => {
    const { state } = decide(silent, standing(1000n), options);
    expect(decide(state, standing(850n, 'daily:2026-11-24'), after(1)).alert).toBe('warning');
  });

  it('says and remembers nothing without a channel, so that one added later is told at once', () => {
    const mute = decide(silent, standing(1000n), { ...options, hasChannels: false });
    expect(mute.alert).toBeUndefined();
    expect(decide(mute.state, standing(1000n), after(1)).alert).toBe('exceeded');
  });
});
