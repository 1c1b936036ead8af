import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from './report.ts';

/** docs/guides/capacity.md: sizing rules with the figures of docs/benchmarks, so that no figure stands anywhere by hand. */

const ROOT = join(import.meta.dirname, '..', '..', '..');
const PAGE = join(ROOT, 'docs', 'guides', 'capacity.md');

/** In the order of the page. */
const MEASURED = ['edge', 'streams', 'recorder', 'governance', 'reports', 'peers'] as const;
/** Above it waiting grows faster than load. */
const PLANNED_SHARE = 0.6;

type Published = Report & { environment: Record<string, string> };

function published(name: string): Published | undefined {
  const file = join(ROOT, 'docs', 'benchmarks', `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Published) : undefined;
}

/** Microseconds of CPU per call, of the edge process and of each store, from the gateway's row at full load. */
function cpuPerCall(): { edge: number; redis: number; nats: number } {
  const rows = published('edge')!.rows.filter(([who]) => who === 'gateway');
  const text = String(rows.at(-1)!.at(-1));
  const of = (pattern: RegExp): number => {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) throw new Error(`docs/benchmarks/edge.json tells no CPU per request: ${text}`);
    return Number(found);
  };
  return { edge: of(/^(\d+) µs/), redis: of(/Redis (\d+) µs/), nats: of(/NATS (\d+) µs/) };
}

const rounded = (value: number): string => {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return (Math.round(value / step) * step).toLocaleString('en-US');
};
const perCore = (micros: number): string => rounded(1e6 / micros);
const planned = (micros: number): string => rounded((1e6 / micros) * PLANNED_SHARE);

function figures(): string {
  return MEASURED.flatMap((name) => {
    const report = published(name);
    if (!report) return [`- \`./omg bench ${name}\`: not measured on a quiet machine yet.`];
    const { machine, node, commit } = report.environment;
    return [
      `- [${report.title}](../benchmarks/${name}.md) (${machine}, Node ${node}, commit ${commit}):`,
      ...report.findings.map((finding) => `  - ${finding}`),
    ];
  }).join('\n');
}

export function capacityPage(): string {
  const { edge, redis, nats } = cpuPerCall();
  return `# Capacity

<!-- Generated from docs/benchmarks by infra/bench/src/capacity-page.ts: pnpm generate -->

How many of what to run. The figures are those of [docs/benchmarks](../benchmarks/README.md), measured on the machine that stands beside them;
measure on yours before you order hardware: \`./omg bench\` writes the same pages. Settings and metrics to watch: [scaling](scaling.md).

## What one call costs

A governed chat call (key, limits, budget hold, settlement, usage event) takes, of one core each:

| Part | CPU per call | One core carries | Planned at ${PLANNED_SHARE * 100} % |
|---|---:|---:|---:|
| edge | ${edge} µs | ${perCore(edge)} calls/s | ${planned(edge)} calls/s |
| Redis | ${redis} µs | ${perCore(redis)} calls/s | ${planned(redis)} calls/s |
| NATS | ${nats} µs | ${perCore(nats)} calls/s | ${planned(nats)} calls/s |

## Sizing

| Part | Rule | Example: 5,000 calls/s at the peak |
|---|---|---|
| edges, one core each | calls/s ÷ ${planned(edge)}, rounded up, + 1 for a rolling restart + 1 for a failed zone | ${Math.ceil((5000 * edge) / 1e6 / PLANNED_SHARE) + 2} edges |
| edge memory | its idle process + open streams × memory per stream (below), + running whole answers × their size; twice that as the limit | \`edge.resources.limits.memory\` |
| Redis | one core until ${planned(redis)} calls/s; beyond it Redis Cluster, one primary for each ${planned(redis)} calls/s (tenants spread over them, one tenant stays on one) | ${Math.ceil((5000 * redis) / 1e6 / PLANNED_SHARE)} ${Math.ceil((5000 * redis) / 1e6 / PLANNED_SHARE) === 1 ? 'primary' : 'primaries'} |
| Redis memory | open streams × memory per stream (below), + calls/s × seconds until they are booked × as much, + idempotent answers kept | \`maxmemory\` at twice the peak, \`noeviction\` |
| NATS | CPU does not matter before Redis does; what matters is a disk that syncs quickly (\`sync_interval: always\`) | 3 servers |
| NATS disk | \`metering.stream_max_mb\`: usage that waits while the recorder or Postgres is away | size on the wire × calls/s × hours |
| recorders | calls/s ÷ events per second that one books (below), + 1 | two at least |
| Postgres | as many rows per second as calls; connections: (admin + recorder replicas) × \`database.max_conns\` | disk for \`retention.metadata_days\` of rows |
| admin API | does not grow with calls | 2 |
| health monitor | one probes; a second one stands by | 1 or 2 |

A stream costs its call once and little per chunk, so with many slow streams memory and sockets come first: scale on
\`edge.autoscaling.targetRequestsInFlight\`, below \`edge.max_in_flight\`.

## Measured

${figures()}
`;
}

/** Without the benchmarks' figures, as in an image's build, there is nothing to write. */
export function writeCapacityPage(): void {
  if (!published('edge')) return;
  writeFileSync(PAGE, capacityPage());
}
