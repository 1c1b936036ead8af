/** The dashboards as data; Grafana's JSON is written from them, since nobody can review four thousand lines of it. */
interface Query {
  expr: string;
  legend: string;
}

interface Panel {
  title: string;
  unit: 'reqps' | 's' | 'percentunit' | 'short' | 'currencyUSD' | 'bytes' | 'none';
  queries: Query[];
  kind?: 'timeseries' | 'stat';
}

interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
}

const P = 'open_model_gateway_';
const rate = (metric: string, by: string) => `sum by (${by}) (rate(${P}${metric}[$__rate_interval]))`;
const quantile = (q: number, metric: string, by: string) =>
  `histogram_quantile(${q}, sum by (le${by ? `, ${by}` : ''}) (rate(${P}${metric}_bucket[$__rate_interval])))`;
const one = (expr: string, legend: string): Query[] => [{ expr, legend }];

const traffic: Dashboard = {
  uid: 'omg-traffic',
  title: 'Gateway: traffic',
  panels: [
    { title: 'Requests by status', unit: 'reqps', queries: one(rate('http_requests_total', 'status'), '{{status}}') },
    { title: 'Requests by route', unit: 'reqps', queries: one(rate('http_requests_total', 'route'), '{{route}}') },
    {
      title: 'Duration',
      unit: 's',
      queries: [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q, 'http_request_duration_seconds', ''), legend: `p${q * 100}` })),
    },
    { title: 'Time to first token, p95', unit: 's', queries: one(quantile(0.95, 'api_time_to_first_token_seconds', 'model'), '{{model}}') },
    { title: 'Added by the gateway, p99', unit: 's', queries: one(quantile(0.99, 'overhead_seconds', ''), 'p99') },
    { title: 'Refusals', unit: 'reqps', queries: one(rate('refusals_total', 'code'), '{{code}}') },
    { title: 'Running requests', unit: 'short', queries: one(`sum by (instance) (${P}requests_in_flight)`, '{{instance}}') },
    { title: 'Request bodies in memory', unit: 'bytes', queries: one(`sum by (instance) (${P}request_body_bytes)`, '{{instance}}') },
    { title: 'Event loop lag, p99', unit: 's', queries: one('max by (job, instance) (nodejs_eventloop_lag_p99_seconds)', '{{job}} {{instance}}') },
    { title: 'CPU', unit: 'percentunit', queries: one('sum by (job, instance) (rate(process_cpu_seconds_total[$__rate_interval]))', '{{job}} {{instance}}') },
    { title: 'Memory', unit: 'bytes', queries: one('sum by (job, instance) (process_resident_memory_bytes)', '{{job}} {{instance}}') },
  ],
};

const spend: Dashboard = {
  uid: 'omg-spend',
  title: 'Gateway: spend and usage',
  panels: [
    { title: 'Cost in the range', unit: 'currencyUSD', kind: 'stat', queries: one(`sum(increase(${P}api_cost_usd_total[$__range]))`, 'USD') },
    { title: 'Cost per hour by model', unit: 'currencyUSD', queries: one(`3600 * ${rate('api_cost_usd_total', 'model')}`, '{{model}}') },
    { title: 'Tokens by kind', unit: 'short', queries: one(rate('api_tokens_total', 'type'), '{{type}}') },
    { title: 'Tokens by model', unit: 'short', queries: one(rate('api_tokens_total', 'model'), '{{model}}') },
    { title: 'Calls by model and status', unit: 'reqps', queries: one(rate('api_request_duration_seconds_count', 'model, status'), '{{model}} {{status}}') },
    { title: 'Budget alerts raised', unit: 'short', queries: one(`sum by (level) (increase(${P}budget_alerts_total[$__range]))`, '{{level}}') },
    {
      title: 'Alert deliveries',
      unit: 'short',
      queries: one(`sum by (channel, result) (increase(${P}budget_alert_deliveries_total[$__range]))`, '{{channel}} {{result}}'),
    },
    { title: 'Ledger mismatches', unit: 'short', kind: 'stat', queries: one(`max(${P}ledger_mismatches)`, 'mismatches') },
  ],
};

const providers: Dashboard = {
  uid: 'omg-providers',
  title: 'Gateway: providers and routes',
  panels: [
    { title: 'Upstream attempts', unit: 'reqps', queries: one(rate('upstream_attempts_total', 'provider, outcome'), '{{provider}} {{outcome}}') },
    {
      title: 'Share of failed attempts',
      unit: 'percentunit',
      queries: one(
        `sum by (provider) (rate(${P}upstream_attempts_total{outcome!="ok"}[$__rate_interval])) / ${rate('upstream_attempts_total', 'provider')}`,
        '{{provider}}',
      ),
    },
    { title: 'Duration by provider, p95', unit: 's', queries: one(quantile(0.95, 'api_request_duration_seconds', 'provider'), '{{provider}}') },
    {
      title: 'State of routes (0 healthy, 1 degraded, 2 down)',
      unit: 'none',
      queries: one(`max by (model, provider, route) (${P}route_state)`, '{{model}} {{provider}}'),
    },
    { title: 'Open breakers', unit: 'short', queries: one(`sum by (route) (${P}route_breaker_open)`, '{{route}}') },
    { title: 'Open incidents', unit: 'short', kind: 'stat', queries: one(`max(${P}route_incidents_open)`, 'incidents') },
    { title: 'Probes', unit: 'reqps', queries: one(rate('health_probes_total', 'provider, outcome'), '{{provider}} {{outcome}}') },
    { title: 'Probe duration, p95', unit: 's', queries: one(quantile(0.95, 'health_probe_duration_seconds', 'provider'), '{{provider}}') },
  ],
};

const queues: Dashboard = {
  uid: 'omg-queues',
  title: 'Gateway: usage pipeline',
  panels: [
    { title: 'Recorder lag', unit: 's', queries: one(`max(${P}recorder_lag_seconds)`, 'lag') },
    { title: 'Booking delay, p99', unit: 's', queries: one(quantile(0.99, 'recorder_booking_delay_seconds', ''), 'p99') },
    { title: 'Messages in the stream', unit: 'short', queries: one(`max by (state) (${P}recorder_stream_messages)`, '{{state}}') },
    { title: 'Jobs in the queues', unit: 'short', queries: one(`max by (queue, state) (${P}recorder_queue_jobs)`, '{{queue}} {{state}}') },
    { title: 'Events booked', unit: 'reqps', queries: one(rate('recorder_events_total', 'result'), '{{result}}') },
    { title: 'Commit duration, p95', unit: 's', queries: one(quantile(0.95, 'recorder_commit_duration_seconds', ''), 'p95') },
    { title: 'Waiting for a dependency', unit: 'reqps', queries: one(rate('recorder_waits_total', 'step'), '{{step}}') },
    { title: 'Dead letters', unit: 'short', queries: one(`max(${P}recorder_dead_letters)`, 'dead letters') },
    { title: 'Reaped attempts', unit: 'reqps', queries: one(rate('recorder_reaped_attempts_total', 'kind'), '{{kind}}') },
    { title: 'Events in memory at the edges', unit: 'short', queries: one(`sum by (instance) (${P}usage_queue_events)`, '{{instance}}') },
    { title: 'Spool on disk', unit: 'bytes', queries: one(`sum by (instance) (${P}usage_spool_bytes)`, '{{instance}}') },
    { title: 'Configuration to the edges, p99', unit: 's', queries: one(quantile(0.99, 'config_projection_delay_seconds', ''), 'p99') },
    { title: 'Connections lost', unit: 'short', queries: one(`sum by (job, dependency) (1 - ${P}connection_up)`, '{{job}} {{dependency}}') },
  ],
};

export const DASHBOARDS: readonly Dashboard[] = [traffic, spend, providers, queues];

const WIDTH = 12;
const HEIGHT = 8;

/** Grafana's form of a dashboard. */
export function grafanaJson(dashboard: Dashboard): string {
  const datasource = { type: 'prometheus', uid: 'prometheus' };
  const panels = dashboard.panels.map((panel, index) => ({
    id: index + 1,
    type: panel.kind ?? 'timeseries',
    title: panel.title,
    datasource,
    gridPos: { x: (index % 2) * WIDTH, y: Math.floor(index / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit: panel.unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options:
      panel.kind === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'] } }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: panel.queries.map(({ expr, legend }, at) => ({ refId: String.fromCharCode(65 + at), datasource, expr, legendFormat: legend })),
  }));
  const whole = {
    uid: dashboard.uid,
    title: dashboard.title,
    tags: ['open-model-gateway'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    panels,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
