import type { Transport } from '@omg/providers';
import type { MonitoredRoute } from '../routes/route-table.js';
import { probeRoute, type ProbeResult } from './probe-route.js';

export interface ProberOptions {
  transport: Transport;
  intervalMs: number;
  timeoutMs: number;
  /** Probes under way at once. */
  concurrency: number;
  onResult: (route: MonitoredRoute, result: ProbeResult, durationMs: number) => void;
  random?: () => number;
}

/** New routes are probed soon, but not all in one moment. */
const FIRST_PROBE_SPREAD_MS = 3000;
const JITTER = 0.15;

/**
 * Probes every route at its interval, with jitter, so that neither the routes of one start nor several monitors ask in step. A route
 * has at most one probe under way; the next one is due an interval after the last one began.
 */
export class Prober {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly due: string[] = [];
  private readonly routes = new Map<string, MonitoredRoute>();
  private running = 0;
  private isOn = false;

  constructor(private readonly options: ProberOptions) {}

  /** Begins to probe all routes (this process became the prober). */
  start(): void {
    if (this.isOn) return;
    this.isOn = true;
    for (const route of this.routes.values()) this.schedule(route.id, this.firstDelayMs());
  }

  /** Stops; probes under way end by themselves and are not told. */
  stop(): void {
    this.isOn = false;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.due.length = 0;
  }

  set(route: MonitoredRoute): void {
    this.routes.set(route.id, route);
    if (this.isOn) this.schedule(route.id, this.firstDelayMs());
  }

  remove(id: string): void {
    this.routes.delete(id);
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
  }

  private firstDelayMs(): number {
    return Math.min(FIRST_PROBE_SPREAD_MS, this.options.intervalMs) * this.random();
  }

  private random(): number {
    return (this.options.random ?? Math.random)();
  }

  private schedule(id: string, delayMs: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.set(
      id,
      setTimeout(() => {
        this.timers.delete(id);
        this.due.push(id);
        this.pump();
      }, delayMs),
    );
  }

  private pump(): void {
    while (this.isOn && this.running < this.options.concurrency) {
      const id = this.due.shift();
      if (id === undefined) return;
      const route = this.routes.get(id);
      if (route) void this.run(route);
    }
  }

  private async run(route: MonitoredRoute): Promise<void> {
    const { intervalMs, timeoutMs, transport, onResult } = this.options;
    const startedMs = performance.now();
    this.running += 1;
    const result = await probeRoute(route, transport, timeoutMs);
    const durationMs = performance.now() - startedMs;
    this.running -= 1;
    // The answer of a route that was changed or handed over meanwhile is nobody's.
    const isCurrent = this.isOn && this.routes.get(route.id) === route;
    if (isCurrent) {
      onResult(route, result, durationMs);
      if (!this.timers.has(route.id)) this.schedule(route.id, Math.max(intervalMs * (1 - JITTER + 2 * JITTER * this.random()) - durationMs, 0));
    }
    this.pump();
  }
}
