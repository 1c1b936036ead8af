import { DASHBOARDS, grafanaJson } from './dashboards.js';
import { metricsPage } from './metrics-page.js';

/** What is written, by path from the repository's root. A test fails when one is not current. */
export const GENERATED_FILES: Readonly<Record<string, () => string>> = {
  'docs/reference/metrics.md': metricsPage,
  ...Object.fromEntries(DASHBOARDS.map((dashboard) => [`infra/grafana/dashboards/${dashboard.uid}.json`, () => grafanaJson(dashboard)])),
};
