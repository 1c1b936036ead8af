import { healthKey, readDocument, routeHealthSchema, type RouteHealth, type RouteOutcome } from '@omg/contracts';
import type { MonitorMetrics } from './monitor-metrics.js';
import type { ProbeResult } from './probes/probe-route.js';
import type { Prober } from './probes/prober.js';
import type { IncidentLog } from './publish/incident-log.js';
import type { MonitoredRoute, RouteTable, RouteTableChange } from './routes/route-table.js';
import { RouteVerdict, type Verdict, type VerdictSettings } from './verdict/route-verdict.js';

/**
 * Joins what probes and edges say of each route and publishes the verdicts.
 *
 * Every replica follows the configuration and the edges' reports; only the holder of the lease probes and writes. A verdict is
 * valid for three probe intervals: when all monitors are gone the states become unknown by themselves, and edges rely on
 * their own breakers.
 */
export interface MonitorSettings extends VerdictSettings {
  checkIntervalMs: number;
}

export interface HealthStore {
  entries(): Promise<ReadonlyMap<string, { value: string }>>;
  put(key: string, value: string): Promise<unknown>;
  delete(key: string): Promise<unknown>;
}

export interface MonitorParts {
  table: RouteTable;
  prober: Pick<Prober, 'start' | 'stop' | 'set' | 'remove'>;
  health: HealthStore;
  incidents: IncidentLog;
  metrics: MonitorMetrics;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  nowMs: () => number;
}

/** Intervals after which a verdict that nobody renewed counts as unknown. */
const VALID_INTERVALS = 3;
const VALID_MIN_MS = 15_000;

export class Monitor {
  private readonly verdicts = new Map<string, RouteVerdict>();
  private readonly published = new Map<string, Verdict>();
  private isLeader = false;
  /** Counts changes of leadership, so that a slow take-over of an older one has no effect. */
  private term = 0;

  constructor(
    private readonly parts: MonitorParts,
    private readonly settings: MonitorSettings,
  ) {}

  onSnapshot(documents: ReadonlyMap<string, string>): void {
    this.apply(this.parts.table.replaceAll(documents));
  }

  onChange(key: string, text: string | undefined): void {
    this.apply(this.parts.table.set(key, text));
  }

  onOutcome(outcome: RouteOutcome): void {
    const nowMs = this.parts.nowMs();
    for (const report of outcome.routes) {
      if (!this.parts.table.get(report.routeId)) continue;
      // Our own clock: an edge's may be wrong.
      this.verdictOf(report.routeId).reported(outcome.edgeId, report, nowMs);
      this.publishIfChanged(report.routeId);
    }
  }

  onProbe(route: MonitoredRoute, result: ProbeResult, durationMs: number): void {
    this.parts.metrics.probed(route.provider, result.outcome, durationMs);
    if (result.outcome !== 'unknown') this.verdictOf(route.id).probed(result.outcome === 'failed' ? result.reason : undefined);
    this.publish(route.id);
  }

  /** This replica has the lease: takes over what the one before it left, then probes. */
  async lead(): Promise<void> {
    const term = ++this.term;
    this.parts.log.info({}, 'this replica probes: it holds the lease');
    try {
      await this.takeOver();
    } catch (error) {
      this.parts.log.warn({ err: error }, 'what the prober before left could not be read');
    }
    if (term !== this.term) return;
    const { incidents, table, nowMs } = this.parts;
    incidents.keepOnly((id) => table.get(id) !== undefined, nowMs());
    this.isLeader = true;
    this.parts.metrics.leads(true);
    this.parts.prober.start();
  }

  yieldLease(): void {
    this.term += 1;
    this.isLeader = false;
    this.parts.metrics.leads(false);
    this.parts.prober.stop();
    this.published.clear();
    this.parts.log.info({}, 'this replica does not probe: it lost the lease');
  }

  private async takeOver(): Promise<void> {
    const { incidents, health, table, nowMs } = this.parts;
    await incidents.load();
    const states = [...(await health.entries()).values()].map(({ value }) => readDocument(routeHealthSchema, value));
    for (const state of states) {
      if (state && state.validUntilMs > nowMs() && table.get(state.routeId)) this.verdictOf(state.routeId).seed(state);
    }
  }

  private apply(change: RouteTableChange): void {
    for (const id of change.removed) this.drop(id);
    for (const route of change.added) {
      // Another key, URL or model: what was known is of the route before.
      this.verdicts.delete(route.id);
      this.parts.prober.set(route);
    }
  }

  private drop(id: string): void {
    const { prober, metrics, health, incidents, nowMs } = this.parts;
    prober.remove(id);
    this.verdicts.delete(id);
    this.published.delete(id);
    metrics.forget(id);
    if (!this.isLeader) return;
    incidents.forget(id, nowMs());
    health.delete(healthKey(id)).catch((error: unknown) => this.writeFailed(error));
  }

  private verdictOf(id: string): RouteVerdict {
    const found = this.verdicts.get(id) ?? new RouteVerdict(this.settings);
    this.verdicts.set(id, found);
    return found;
  }

  private publishIfChanged(id: string): void {
    const verdict = this.verdictOf(id).verdict(this.parts.nowMs());
    const before = this.published.get(id);
    if (verdict && (verdict.state !== before?.state || verdict.reason !== before?.reason)) this.publish(id);
  }

  private publish(id: string): void {
    const { table, nowMs, metrics, health, incidents, log } = this.parts;
    const route = table.get(id);
    const atMs = nowMs();
    const verdict = this.verdictOf(id).verdict(atMs);
    if (!this.isLeader || !route || !verdict) return;
    const { state, reason } = verdict;
    const validUntilMs = atMs + Math.max(VALID_INTERVALS * this.settings.checkIntervalMs, VALID_MIN_MS);
    const document: RouteHealth = { v: 1, routeId: id, state, ...(reason ? { reason } : {}), checkedAtMs: atMs, validUntilMs };
    this.published.set(id, verdict);
    metrics.state(route, state);
    health.put(healthKey(id), JSON.stringify(document)).catch((error: unknown) => this.writeFailed(error));
    const event = incidents.observe(route, verdict, atMs);
    if (event) log.warn({ routeId: id, alias: route.alias, provider: route.provider, state, reason }, `route incident: ${event}`);
  }

  private writeFailed(error: unknown): void {
    this.parts.log.warn({ err: error }, 'a verdict could not be published');
  }
}
