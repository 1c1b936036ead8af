import { setTimeout as delay } from 'node:timers/promises';
import type { ServerResponse } from 'node:http';
import type { DemoConfig } from './config.js';
import { SLOW_FAULT_MS, type Fault } from './faults.js';

/** Waits, but not for a caller who left. Resolves to false when the caller is gone. */
export async function pause(response: ServerResponse, ms: number): Promise<boolean> {
  if (ms > 0 && !response.destroyed) {
    const abort = new AbortController();
    const leave = (): void => abort.abort();
    response.once('close', leave);
    await delay(ms, undefined, { signal: abort.signal }).catch(() => undefined);
    response.off('close', leave);
  }
  return !response.destroyed;
}

export function timeToFirstTokenMs(config: DemoConfig, fault: Fault): number {
  return config.firstTokenMs + (fault.kind === 'slow' ? SLOW_FAULT_MS : 0);
}

/** Holds the answer back until the caller leaves. */
export async function hang(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => response.once('close', () => resolve()));
}
