import { randomBytes } from 'node:crypto';
import { incidentKey, readDocument, routeIncidentSchema, type RouteIncident } from '@omg/contracts';
import { uuidV7 } from '@omg/domain';
import type { Verdict } from '../verdict/route-verdict.js';

export interface IncidentStore {
  entries(): Promise<ReadonlyMap<string, { value: string }>>;
  put(key: string, value: string): Promise<unknown>;
}

type RouteName = Pick<RouteIncident, 'alias' | 'provider'> & { id: string };

/** Keeps one open incident per route that is not healthy. Writes only when something changes. */
export class IncidentLog {
  private readonly open = new Map<string, RouteIncident>();

  constructor(
    private readonly store: IncidentStore,
    private readonly onError: (error: unknown) => void,
  ) {}

  get openCount(): number {
    return this.open.size;
  }

  /** Takes over the incidents that another prober left open. */
  async load(): Promise<void> {
    this.open.clear();
    for (const { value } of (await this.store.entries()).values()) {
      const incident = readDocument(routeIncidentSchema, value);
      if (incident && incident.endedAtMs === undefined) this.open.set(incident.routeId, incident);
    }
  }

  /** Returns what changed, for the log. */
  observe(route: RouteName, verdict: Verdict, nowMs: number): 'began' | 'worse' | 'ended' | undefined {
    const current = this.open.get(route.id);
    if (verdict.state === 'healthy') return current ? this.end(current, nowMs) : undefined;
    if (!current) {
      const incident: RouteIncident = {
        v: 1,
        id: uuidV7(nowMs, randomBytes(10)),
        routeId: route.id,
        alias: route.alias,
        provider: route.provider,
        state: verdict.state,
        ...(verdict.reason ? { reason: verdict.reason } : {}),
        startedAtMs: nowMs,
      };
      this.write(incident);
      return 'began';
    }
    if (current.state === 'down' || verdict.state === 'degraded') return undefined;
    this.write({ ...current, state: 'down' });
    return 'worse';
  }

  /** Ends the incidents of routes that are not there any more: they went while nobody watched. */
  keepOnly(isKnown: (routeId: string) => boolean, nowMs: number): void {
    for (const incident of [...this.open.values()]) if (!isKnown(incident.routeId)) this.end(incident, nowMs);
  }

  /** The route is gone: so is its incident. */
  forget(routeId: string, nowMs: number): void {
    const current = this.open.get(routeId);
    if (current) this.end(current, nowMs);
  }

  private end(incident: RouteIncident, nowMs: number): 'ended' {
    this.write({ ...incident, endedAtMs: nowMs });
    this.open.delete(incident.routeId);
    return 'ended';
  }

  private write(incident: RouteIncident): void {
    this.open.set(incident.routeId, incident);
    this.store.put(incidentKey(incident.routeId, incident.id), JSON.stringify(incident)).catch(this.onError);
  }
}
