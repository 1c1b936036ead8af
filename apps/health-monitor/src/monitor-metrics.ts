import type { RouteHealth } from '@omg/contracts';
import type { Metrics } from '@omg/service-kit';
import type { ProbeResult } from './probes/probe-route.js';

const STATE_NUMBERS: Readonly<Record<RouteHealth['state'], number>> = { healthy: 0, degraded: 1, down: 2 };
const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

interface Named {
  id: string;
  alias: string;
  provider: string;
}

export class MonitorMetrics {
  private readonly probes;
  private readonly seconds;
  private readonly states;
  private readonly leader;
  private readonly labels = new Map<string, readonly [string, string, string]>();

  constructor(metrics: Metrics, openIncidents: () => number) {
    this.probes = metrics.counter({ name: 'health_probes_total', help: 'Probes of provider routes.', labelNames: ['provider', 'outcome'], seriesMax: 200 });
    this.seconds = metrics.histogram({
      name: 'health_probe_duration_seconds',
      help: 'Duration of the probes.',
      labelNames: ['provider'],
      buckets: SECONDS,
      seriesMax: 100,
    });
    this.states = metrics.gauge({
      name: 'route_state',
      help: 'Published state of a route: 0 healthy, 1 degraded, 2 down.',
      labelNames: ['route', 'model', 'provider'],
      seriesMax: 2000,
    });
    this.leader = metrics.gauge({ name: 'health_leader', help: 'Whether this replica holds the lease and probes.' }).child();
    const open = metrics.gauge({
      name: 'route_incidents_open',
      help: 'Routes with an incident that goes on.',
      refresh: () => open.child().set(openIncidents()),
    });
  }

  probed(provider: string, outcome: ProbeResult['outcome'], durationMs: number): void {
    this.probes.child(provider, outcome).inc();
    this.seconds.child(provider).observe(durationMs / 1000);
  }

  state(route: Named, state: RouteHealth['state']): void {
    const labels = [route.id, route.alias, route.provider] as const;
    if (this.labels.get(route.id)?.join() !== labels.join()) this.forget(route.id);
    this.labels.set(route.id, labels);
    this.states.child(...labels).set(STATE_NUMBERS[state]);
  }

  forget(routeId: string): void {
    const labels = this.labels.get(routeId);
    if (labels) this.states.remove(...labels);
    this.labels.delete(routeId);
  }

  /** The one who leads tells the states; the others tell none, rather than old ones. */
  leads(isLeader: boolean): void {
    this.leader.set(isLeader ? 1 : 0);
    if (!isLeader) for (const id of [...this.labels.keys()]) this.forget(id);
  }
}
