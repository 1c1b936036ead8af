import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { metricsCatalog, RUNTIME_METRICS } from './catalog.js';
import { DASHBOARDS } from './dashboards.js';
import { GENERATED_FILES } from './generated-files.js';

const root = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook_url: string };
}
const rules = (parse(read('infra/prometheus/rules/gateway.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

const families = metricsCatalog().flatMap((service) => service.families);
const labelsOf = new Map<string, ReadonlySet<string>>();
for (const { name, type, labelNames } of families) {
  const labels = new Set([...labelNames, 'job', 'instance', ...(type === 'histogram' ? ['le'] : [])]);
  const names = type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
  for (const each of names) labelsOf.set(each, labels);
}
for (const name of RUNTIME_METRICS) labelsOf.set(name, new Set(['job', 'instance']));

/** Names and labels of a query that nobody makes. */
function unknownIn(expr: string): string[] {
  const names = [...expr.matchAll(/\b(open_model_gateway_\w+|nodejs_\w+|process_\w+|up)\b/g)].map((match) => match[1]!);
  const unknown = names.filter((name) => !labelsOf.has(name));
  const allowed = new Set(names.flatMap((name) => [...(labelsOf.get(name) ?? [])]));
  const used = [...expr.matchAll(/\b(?:by|without) \(([^)]*)\)/g), ...expr.matchAll(/(?<=[{,])(\w+)(?==~?"|!=)/g)].flatMap((match) =>
    match[1]!.split(',').map((label) => label.trim()),
  );
  return names.length === 0 ? [`no metric in: ${expr}`] : [...unknown, ...used.filter((label) => label !== '' && !allowed.has(label))];
}

describe('observability', () => {
  it.each(Object.keys(GENERATED_FILES))('%s is current (pnpm generate)', (path) => {
    expect(read(path)).toBe(GENERATED_FILES[path]!());
  });

  it('the check of queries finds a metric and a label that do not exist', () => {
    expect(unknownIn('sum by (nope) (rate(open_model_gateway_http_requests_total{statsu="1"}[5m]))')).toEqual(['nope', 'statsu']);
    expect(unknownIn('open_model_gateway_made_up')).toEqual(['open_model_gateway_made_up']);
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))('alert %s asks for metrics that exist and has a runbook', (_name, rule) => {
    expect(unknownIn(rule.expr)).toEqual([]);
    expect(['critical', 'warning']).toContain(rule.labels.severity);
    const runbook = /\/(docs\/runbooks\/[a-z-]+\.md)$/.exec(rule.annotations.runbook_url)![1]!;
    const text = read(runbook);
    for (const heading of ['What it means', 'Where to look', 'What to do']) expect(text).toContain(`## ${heading}\n`);
    expect(text).toContain(`\`${rule.expr}\``);
  });

  it('every runbook belongs to an alert', () => {
    const named = rules.map((rule) => rule.annotations.runbook_url.split('/').at(-1));
    expect(readdirSync(join(root, 'docs/runbooks')).filter((name) => name !== 'README.md' && !named.includes(name))).toEqual([]);
  });

  it.each(DASHBOARDS.flatMap(({ title, panels }) => panels.map((panel) => [`${title}: ${panel.title}`, panel] as const)))(
    'panel %s asks for metrics that exist',
    (_name, panel) => {
      for (const { expr, legend } of panel.queries) {
        expect(unknownIn(expr)).toEqual([]);
        const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap((match) => match[1]!.split(',').map((label) => label.trim()));
        for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect(grouped).toContain(label);
      }
    },
  );

  it('every metric of ours is in the reference once', () => {
    const names = families.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^open_model_gateway_[a-z0-9_]+$/);
    for (const { name, type } of families) if (type === 'counter') expect(name).toMatch(/_total$/);
    // `job` and `instance` are Prometheus' own labels: a metric with them would be renamed at the scrape.
    for (const { labelNames } of families) expect(labelNames).not.toContain('job');
  });

  it('the compose file mounts what is there and opens ports to this machine only', () => {
    const compose = parse(read('infra/compose.yaml')) as {
      services: Record<string, { volumes?: string[]; ports?: string[]; image: string }>;
      volumes: Record<string, unknown>;
    };
    for (const service of Object.values(compose.services)) {
      expect(service.image).toMatch(/:[\w.-]*\d/);
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
      for (const volume of service.volumes ?? []) {
        const source = volume.split(':')[0]!;
        if (source.startsWith('./')) expect([source, existsSync(join(root, 'infra', source))]).toEqual([source, true]);
        else expect(Object.keys(compose.volumes)).toContain(source);
      }
    }
    for (const file of [
      'infra/otel/collector.yaml',
      'infra/prometheus/prometheus.yaml',
      'infra/grafana/provisioning/datasources/prometheus.yaml',
      'infra/grafana/provisioning/dashboards/gateway.yaml',
    ])
      expect(parse(read(file))).toBeTruthy();
  });
});
