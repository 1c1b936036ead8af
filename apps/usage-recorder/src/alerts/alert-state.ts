import type { NanoUsd } from '@omg/domain';
import type { AlertLevel, AlertState } from '@omg/database';

/** When an alert goes out. Pure: time, spend and what was said before come in, the decision comes out. */

export interface Standing {
  windowId: string;
  spentNano: NanoUsd;
  limitNano: NanoUsd;
  /** Fraction of the limit. */
  warningThreshold: number;
}

const RANK: Record<AlertLevel, number> = { warning: 1, exceeded: 2 };

/** Undefined: all is well. */
export function levelOf({ spentNano, limitNano, warningThreshold }: Standing): AlertLevel | undefined {
  if (spentNano >= limitNano) return 'exceeded';
  // Thresholds have four decimal places in Postgres; the comparison stays exact.
  return spentNano * 10_000n >= limitNano * BigInt(Math.round(warningThreshold * 10_000)) ? 'warning' : undefined;
}

export interface Decision {
  /** Raise this alert now. */
  alert: AlertLevel | undefined;
  state: AlertState;
}

/**
 * The first level of a window and a higher one go out at once; the same or a lower one only after the cooldown. A new
 * window, or a spend below the threshold, forgets what was said. Without a channel nothing is said and nothing remembered.
 */
export function decide(previous: AlertState, standing: Standing, options: { nowMs: number; cooldownMs: number; hasChannels: boolean }): Decision {
  const level = levelOf(standing);
  const said = previous.windowId === standing.windowId ? previous : { windowId: null, lastLevel: null, lastAlertAtMs: null };
  if (!level) return { alert: undefined, state: { windowId: standing.windowId, lastLevel: null, lastAlertAtMs: null } };
  const isHigher = said.lastLevel === null || RANK[level] > RANK[said.lastLevel];
  const isCool = said.lastAlertAtMs === null || options.nowMs >= said.lastAlertAtMs + options.cooldownMs;
  if (!options.hasChannels || (!isHigher && !isCool)) return { alert: undefined, state: { ...said, windowId: standing.windowId } };
  return { alert: level, state: { windowId: standing.windowId, lastLevel: level, lastAlertAtMs: options.nowMs } };
}
