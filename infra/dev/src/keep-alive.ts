import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessIdentity } from './processes.ts';
import { say } from './terminal.ts';

/** Something that runs until it ends, for whatever reason. */
export interface Running {
  identity: ProcessIdentity;
  exited: Promise<string>;
}

const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 10_000;
/** Whoever ran this long was healthy: the next restart is quick again. */
const HEALTHY_MS = 30_000;

/** Starts again what ended without being asked to, ever more slowly while it keeps ending. */
export class KeepAlive<T extends Running> {
  current: T;
  private stopping = false;
  private readonly name: string;
  private readonly start: () => Promise<T>;

  constructor(name: string, first: T, start: () => Promise<T>) {
    this.name = name;
    this.current = first;
    this.start = start;
    void this.watch();
  }

  /** From now on an end is an end. Resolves with what runs last. */
  release(): T {
    this.stopping = true;
    return this.current;
  }

  private async watch(): Promise<void> {
    let backoffMs = BACKOFF_FIRST_MS;
    while (!this.stopping) {
      const startedAt = Date.now();
      const how = await this.current.exited;
      if (this.stopping) return;
      if (Date.now() - startedAt > HEALTHY_MS) backoffMs = BACKOFF_FIRST_MS;
      say(`${this.name} ended (${how}); starting it again in ${backoffMs} ms`);
      await delay(backoffMs);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_LAST_MS);
      if (!this.stopping) await this.startAgain();
    }
  }

  private async startAgain(): Promise<void> {
    try {
      this.current = await this.start();
    } catch (error) {
      say(`${this.name} did not start: ${error instanceof Error ? error.message : String(error)}`);
      this.current = { ...this.current, exited: Promise.resolve('failed start') };
    }
  }
}
