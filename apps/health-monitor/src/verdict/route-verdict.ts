import type { RouteHealth } from '@omg/contracts';

/**
 * What is known of one route, and what follows from it. Pure: time is a parameter.
 *
 * - `down`: the last probes failed, as many as open a breaker, and no edge got an answer through it lately. A route that serves live
 *   traffic is never down because its probe's URL is broken.
 * - `degraded`: most probes of the window failed, or an edge's breaker is open. A probe that succeeds does not hide that: only
 *   live traffic closes a breaker.
 * - `healthy`: otherwise.
 * - Nothing known: no verdict, which readers take as unknown.
 */
export interface VerdictSettings {
  /** Probe results that are kept. */
  window: number;
  failureThreshold: number;
  /** How long an edge's report of answers counts. */
  passiveMs: number;
  /** How long an edge's open breaker counts when the edge falls silent. */
  breakerMs: number;
}

export interface EdgeReport {
  successes: number;
  failures: number;
  consecutiveFailures: number;
  breaker: 'closed' | 'open' | 'half_open';
  lastError?: string;
}

export interface Verdict {
  state: RouteHealth['state'];
  reason?: string;
}

interface Edge extends EdgeReport {
  atMs: number;
  lastSuccessAtMs: number;
}

const EDGES_MAX = 1024;

export class RouteVerdict {
  private results: boolean[] = [];
  private consecutiveFailures = 0;
  private lastReason: string | undefined;
  private readonly edges = new Map<string, Edge>();

  constructor(private readonly settings: VerdictSettings) {}

  /** Takes over what another prober last said, so that a change of the prober does not heal a route. */
  seed(previous: Verdict): void {
    if (this.results.length > 0 || previous.state !== 'down') return;
    this.consecutiveFailures = this.settings.failureThreshold;
    this.lastReason = previous.reason;
    this.results = Array<boolean>(this.settings.failureThreshold).fill(false).slice(-this.settings.window);
  }

  /** `reason`: the class of a failure; undefined is a success. */
  probed(reason: string | undefined): void {
    this.results = [...this.results, reason === undefined].slice(-this.settings.window);
    this.consecutiveFailures = reason === undefined ? 0 : this.consecutiveFailures + 1;
    if (reason !== undefined) this.lastReason = reason;
  }

  reported(edgeId: string, report: EdgeReport, atMs: number): void {
    const before = this.edges.get(edgeId);
    const lastSuccessAtMs = report.successes > 0 ? atMs : (before?.lastSuccessAtMs ?? Number.NEGATIVE_INFINITY);
    this.edges.delete(edgeId);
    this.edges.set(edgeId, { ...report, atMs, lastSuccessAtMs });
    if (this.edges.size > EDGES_MAX) this.edges.delete(this.edges.keys().next().value!);
  }

  verdict(nowMs: number): Verdict | undefined {
    this.forgetSilentEdges(nowMs);
    const live = [...this.edges.values()];
    const answering = live.some((edge) => nowMs - edge.lastSuccessAtMs < this.settings.passiveMs && edge.breaker === 'closed');
    const broken = live.find((edge) => edge.breaker !== 'closed');
    if (this.consecutiveFailures >= this.settings.failureThreshold && !answering) return { state: 'down', reason: this.lastReason };
    if (broken) return { state: 'degraded', reason: broken.lastError ?? 'breaker_open' };
    const failed = this.results.filter((isOk) => !isOk).length;
    if (failed * 2 > this.results.length) return { state: 'degraded', reason: this.lastReason };
    const failing = live.find((edge) => edge.consecutiveFailures >= this.settings.failureThreshold);
    if (failing) return { state: 'degraded', reason: failing.lastError ?? 'live_traffic' };
    return this.results.length > 0 || answering ? { state: 'healthy' } : undefined;
  }

  private forgetSilentEdges(nowMs: number): void {
    for (const [id, edge] of this.edges) {
      const keptMs = edge.breaker === 'closed' ? this.settings.passiveMs : this.settings.breakerMs;
      if (nowMs - edge.atMs >= keptMs) this.edges.delete(id);
    }
  }
}
