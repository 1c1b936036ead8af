import { metricsCatalog } from './catalog.js';

const INTRO = `# Metrics

<!-- Generated from the services' code: pnpm generate -->

Each service has them at \`/metrics\` (on \`observability.metrics_listen_addr\` when that is set), unless \`observability.enable_metrics\` is off.
Labels are bounded: a family holds a fixed number of series, and what comes after counts under \`other\`. Keys are no label, and only the
first 50 tenants that an edge meets have one of their own: their number has no bound, and the usage reports answer for each. The metrics of the process (CPU, memory, garbage collection, event loop)
have the names of prom-client: \`process_*\`, \`nodejs_*\`.
`;

export function metricsPage(): string {
  const sections = metricsCatalog().map(({ title, families }) => {
    const rows = families.map(
      ({ name, type, labelNames, help }) => `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ') || '–'} | ${help} |`,
    );
    return `## ${title}\n\n| Name | Type | Labels | Meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `${INTRO}\n${sections.join('\n')}`;
}
