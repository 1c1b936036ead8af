import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { lint, render, type Manifest } from './helm.js';
import { violations } from './kubernetes-schema.js';
import { isOperatorObject, operatorViolations } from './operator-schema.js';
import { chartReadme, README } from './write-chart-readme.js';
import { valuesSchema } from './write-values-schema.js';

const TRIAL = {
  'trial.enabled': 'true',
  // Fixed, so that two renderings are alike.
  'secrets.apiKeyPepper': 'c2f1a9d07b5e4836a1f0c9d8e7b6a594',
  'secrets.jwtSecret': '0f9e8d7c6b5a49382716f5e4d3c2b1a0',
  'secrets.encryptionKeys': 'k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  'trial.postgres.password': 'trial-password',
  'trial.adminPassword': 'a-password-of-this-trial',
  'trial.apiKeySecret': 'iHhL2v0pXz7QmB4sR9tYcW1dKfUeJgNa5oVyT3xM8qE',
};
const PRODUCTION = {
  'secrets.existingSecret': 'gateway-secrets',
  'secrets.extra.ROUTER_PROVIDERS_OPENAI_KEY': 'openai-key',
  'config.nats.replicas': '3',
  'ingress.enabled': 'true',
  'ingress.host': 'llm.example.com',
  'ingress.adminHost': 'llm-admin.example.com',
  'edge.autoscaling.targetRequestsInFlight': '200',
};
const AIR_GAPPED = {
  'secrets.create': 'true',
  'secrets.databaseUrl': 'postgres://omg:secret@postgres.db:5432/omg',
  'secrets.redisUrl': 'rediss://redis.cache:6379',
  'secrets.natsUrl': 'tls://nats.bus:4222',
  'secrets.apiKeyPepper': TRIAL['secrets.apiKeyPepper'],
  'secrets.jwtSecret': TRIAL['secrets.jwtSecret'],
  'secrets.encryptionKeys': TRIAL['secrets.encryptionKeys'],
  'image.registry': 'registry.internal:5000',
  'image.repository': 'mirror/omg',
  'image.pullSecrets[0].name': 'registry-login',
};
const OPERATORS = {
  'secrets.external.enabled': 'true',
  'secrets.external.storeRef.name': 'vault',
  'secrets.external.remoteKey': 'omg/production',
  'httpRoute.enabled': 'true',
  'httpRoute.parentRefs[0].name': 'public',
  'httpRoute.adminHostnames[0]': 'llm-admin.example.com',
  'serviceMonitor.enabled': 'true',
  'prometheusRule.enabled': 'true',
  'prometheusRule.labels.release': 'prometheus',
  'recorder.keda.enabled': 'true',
  'recorder.keda.natsServerMonitoringEndpoint': 'nats.bus:8222',
};
const SHAPES: [string, Record<string, string>][] = [
  ['trial', TRIAL],
  ['production with external services', PRODUCTION],
  ['air-gapped registry', AIR_GAPPED],
  ['operators of the cluster', OPERATORS],
];

const pods = (manifests: Manifest[]): [string, { spec: PodSpec }][] =>
  manifests.flatMap((manifest) => {
    const template = (manifest.spec as { template?: { spec: PodSpec } } | undefined)?.template;
    return template ? [[`${manifest.kind} ${manifest.metadata.name}`, template] as [string, { spec: PodSpec }]] : [];
  });

interface PodSpec {
  securityContext: { runAsNonRoot: boolean; seccompProfile: { type: string } };
  automountServiceAccountToken: boolean;
  terminationGracePeriodSeconds?: number;
  containers: {
    name: string;
    image: string;
    env?: { name: string }[];
    securityContext: { allowPrivilegeEscalation: boolean; readOnlyRootFilesystem?: boolean; capabilities: { drop: string[] } };
    resources: object;
  }[];
}

describe.each(SHAPES)('the chart for: %s', (_name, values) => {
  const manifests = render(values);

  it('passes helm lint, and every object is one that Kubernetes or its operator accepts', () => {
    expect(lint(values)).toContain('0 chart(s) failed');
    expect(manifests.flatMap((manifest) => (isOperatorObject(manifest) ? operatorViolations(manifest) : violations(manifest)))).toEqual([]);
  });

  it('gives no two objects one name, and every label selects what it should', () => {
    const names = manifests.map((manifest) => `${manifest.kind}/${manifest.metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const service of manifests.filter((manifest) => manifest.kind === 'Service')) {
      const selector = service.spec!['selector'] as Record<string, string>;
      const selected = manifests.filter((manifest) => {
        const labels = (manifest.spec as { template?: { metadata: { labels: Record<string, string> } } } | undefined)?.template?.metadata.labels;
        return labels !== undefined && Object.entries(selector).every(([name, value]) => labels[name] === value);
      });
      expect(selected).toHaveLength(1);
    }
  });

  it('runs every pod under the restricted standard', () => {
    for (const [name, { spec }] of pods(manifests)) {
      expect([name, spec.securityContext.runAsNonRoot, spec.securityContext.seccompProfile.type]).toEqual([name, true, 'RuntimeDefault']);
      expect(spec.automountServiceAccountToken).toBe(false);
      for (const container of spec.containers) {
        expect(container.securityContext).toMatchObject({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
        expect(container.resources).toHaveProperty('limits.memory');
      }
    }
  });

  it('renders as reviewed', () => {
    expect(manifests).toMatchSnapshot();
  });
});

describe('the check against the Kubernetes API', () => {
  it('finds unknown fields, wrong kinds of values and unknown APIs', () => {
    const metadata = { name: 'x' };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { replica: 1, template: { spec: { containers: [{ name: 7, prots: [] }] } } },
    };
    expect(violations(deployment)).toEqual([
      'Deployment x.spec.replica: unknown field',
      'Deployment x.spec.template.spec.containers[0].name: number where string belongs',
      'Deployment x.spec.template.spec.containers[0].prots: unknown field',
    ]);
    expect(violations({ apiVersion: 'apps/v9', kind: 'Deployment', metadata })).toHaveLength(1);
  });
});

describe("the check against the operators' own schemas", () => {
  const objects = render(OPERATORS).filter(isOperatorObject);

  it('knows all five kinds', () => {
    const kinds = ['ExternalSecret', 'HTTPRoute', 'HTTPRoute', 'PrometheusRule', 'ScaledObject', 'ServiceMonitor'];
    expect(objects.map((manifest) => manifest.kind).toSorted()).toEqual(kinds);
  });

  it.each([
    ['ServiceMonitor', (spec: any) => (spec.endpoints[0].interval = 'often')],
    ['ServiceMonitor', (spec: any) => (spec.endpoints[0].relabelings[0].action = 'rename')],
    ['PrometheusRule', (spec: any) => (spec.groups[0].rules[0].for = 'a while')],
    ['HTTPRoute', (spec: any) => (spec.rules[0].matches[0].path.type = 'Start')],
    ['HTTPRoute', (spec: any) => (spec.rules[0].backendRefs[0].port = 'http')],
    ['ScaledObject', (spec: any) => delete spec.triggers[0].metadata],
    ['ExternalSecret', (spec: any) => (spec.target.creationPolicy = 'Sometimes')],
  ])('finds a mistake in a %s', (kind, spoil) => {
    const object = structuredClone(objects.find((manifest) => manifest.kind === kind)!);
    spoil(object.spec);
    expect(operatorViolations(object)).toHaveLength(1);
  });
});

describe('the chart', () => {
  it('checks its values by a schema that is up to date (node k8s/tests/write-values-schema.ts)', () => {
    expect(readFileSync(join(import.meta.dirname, '..', 'charts', 'open-model-gateway', 'values.schema.json'), 'utf8')).toBe(valuesSchema());
  });

  it('tells the edge neither where Postgres is nor the secret of the sessions', () => {
    const [, edge] = pods(render(PRODUCTION)).find(([name]) => name.endsWith('edge-gateway'))!;
    const names = edge.spec.containers[0]!.env!.map((variable) => variable.name);
    expect(names).toContain('ROUTER_REDIS_URL');
    expect(names).not.toContain('ROUTER_DATABASE_URL');
    expect(names).not.toContain('ROUTER_ADMIN_SESSION_JWT_SECRET');
  });

  it('leaves streams more time to end than the service takes to drain, also with other values, or refuses them', () => {
    const [, edge] = pods(render(PRODUCTION)).find(([name]) => name.endsWith('edge-gateway'))!;
    expect(edge.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(5 + 60 + 10);
    for (const tooLong of ['81s', '2m']) {
      expect(() => render({ ...PRODUCTION, 'config.server.graceful_shutdown_delay': tooLong })).toThrow(/terminationGracePeriodSeconds is 90/);
      expect(render({ ...PRODUCTION, 'config.server.graceful_shutdown_delay': tooLong, 'edge.terminationGracePeriodSeconds': '150' }).length).toBeGreaterThan(
        10,
      );
    }
  });

  it('makes nothing but the edge public when its Service gets an address', () => {
    const services = render({ ...PRODUCTION, 'service.type': 'LoadBalancer' }).filter((manifest) => manifest.kind === 'Service');
    expect(services.filter((service) => service.spec!['type'] === 'LoadBalancer').map((service) => service.metadata.name)).toEqual([
      'gateway-open-model-gateway-edge-gateway',
    ]);
    for (const service of services) expect((service.spec!['ports'] as { name: string }[]).map((port) => port.name)).toEqual(['http']);
  });

  it('lets the scraper reach every service when callers are restricted, and nobody else', () => {
    const from = {
      'networkPolicy.edgeFrom[0].namespaceSelector.matchLabels.name': 'ingress',
      'networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name': 'monitoring',
    };
    const policies = render({ ...PRODUCTION, ...from }).filter((manifest) => manifest.kind === 'NetworkPolicy');
    const rulesOf = (name: string) => (policies.find((policy) => policy.metadata.name.endsWith(name))!.spec as { ingress: unknown[] }).ingress;
    expect(rulesOf('-metrics')).toEqual([
      { ports: [{ port: 'metrics', protocol: 'TCP' }], from: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }] },
    ]);
    expect(rulesOf('-edge-gateway')).toEqual([
      { ports: [{ port: 8080, protocol: 'TCP' }], from: [{ namespaceSelector: { matchLabels: { name: 'ingress' } } }] },
    ]);
  });

  it('tells Prometheus the services by the names that alerts and dashboards use', () => {
    const manifests = render(OPERATORS);
    const monitor = manifests.find((manifest) => manifest.kind === 'ServiceMonitor')!.spec as {
      selector: { matchLabels: Record<string, string> };
      endpoints: object[];
    };
    const scraped = manifests.filter(
      (manifest) =>
        manifest.kind === 'Service' && Object.entries(monitor.selector.matchLabels).every(([name, value]) => manifest.metadata.labels?.[name] === value),
    );
    expect(scraped.map((service) => service.metadata.labels!['app.kubernetes.io/component']).toSorted()).toEqual([
      'admin-api',
      'edge-gateway',
      'health-monitor',
      'usage-recorder',
    ]);
    expect(monitor.endpoints).toMatchObject([{ port: 'metrics', relabelings: [{ targetLabel: 'job' }] }]);
    // Without a port of its own, the trial's stores must not be taken for services of ours.
    const shared = render({ ...OPERATORS, 'metrics.port': '0' }).find((manifest) => manifest.kind === 'ServiceMonitor')!.spec as {
      selector: { matchExpressions: { values: string[] }[] };
    };
    expect(shared.selector.matchExpressions[0]!.values).toHaveLength(4);
  });

  it('brings the alerts and the dashboards as they stand in infra, where they are asked for, and none else', () => {
    const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', '..', 'infra', path), 'utf8');
    const monitoring = (values: Record<string, string>) =>
      render(values).filter(
        ({ kind, metadata }) => kind === 'PrometheusRule' || (kind === 'ConfigMap' && metadata.labels!['app.kubernetes.io/component'] === 'monitoring'),
      );
    expect(monitoring(PRODUCTION)).toEqual([]);
    const [rule, ...dashboards] = monitoring({
      ...PRODUCTION,
      'prometheusRule.enabled': 'true',
      'grafanaDashboards.enabled': 'true',
      'grafanaDashboards.annotations.grafana_folder': 'Gateway',
    }).toSorted((a, b) => (a.kind === b.kind ? 0 : a.kind === 'PrometheusRule' ? -1 : 1));
    expect(rule!.spec).toEqual(parse(read('prometheus/rules/gateway.yaml')));
    expect(dashboards.length).toBeGreaterThan(3);
    for (const { metadata, data } of dashboards as (Manifest & { data: Record<string, string> })[]) {
      expect(metadata).toMatchObject({ labels: { grafana_dashboard: '1' }, annotations: { grafana_folder: 'Gateway' } });
      const [[file, json]] = Object.entries(data) as [[string, string]];
      expect(JSON.parse(json)).toEqual(JSON.parse(read(`grafana/dashboards/${file}`)));
    }
  });

  it('mounts certificate authorities into every pod, the migration too', () => {
    const values = {
      ...PRODUCTION,
      'extraVolumes[0].name': 'ca',
      'extraVolumes[0].configMap.name': 'internal-ca',
      'extraVolumeMounts[0].name': 'ca',
      'extraVolumeMounts[0].mountPath': '/etc/omg-ca',
    };
    for (const [name, pod] of pods(render(values))) {
      expect([name, (pod.spec as unknown as { volumes: { name: string }[] }).volumes.map((volume) => volume.name)]).toEqual([
        name,
        expect.arrayContaining(['ca']),
      ]);
      expect(JSON.stringify(pod.spec.containers)).toContain('/etc/omg-ca');
    }
  });

  it('restarts the pods when a secret that it wrote changes', () => {
    const checksums = (values: Record<string, string>) =>
      render(values)
        .filter((manifest) => manifest.kind === 'Deployment')
        .map(
          (manifest) =>
            (manifest.spec as { template: { metadata: { annotations: Record<string, string> } } }).template.metadata.annotations['checksum/secrets'],
        );
    const before = checksums(AIR_GAPPED);
    const after = checksums({ ...AIR_GAPPED, 'secrets.redisUrl': 'rediss://other.cache:6379' });
    expect(before).toHaveLength(4);
    for (const [index, sum] of before.entries()) expect(sum).not.toBe(after[index]);
  });

  it('explains every value in its README, up to date (node k8s/tests/write-chart-readme.ts)', () => {
    expect(readFileSync(README, 'utf8')).toBe(chartReadme());
  });

  it('gives a trial a key and an administrator of its own, and nobody else one', () => {
    const bootstrap = (values: Record<string, string>) =>
      pods(render(values))
        .flatMap(([, pod]) => pod.spec.containers)
        .filter((container) => container.env?.some((variable) => variable.name.startsWith('ROUTER_BOOTSTRAP_')))
        .map((container) => container.name);
    expect(bootstrap(TRIAL)).toEqual(['admin-api']);
    expect(bootstrap({ ...TRIAL, 'config.bootstrap.tenants[0].name': 'own' })).toEqual([]);
    expect(bootstrap(PRODUCTION)).toEqual([]);
  });

  it.each([
    ['no source of secrets', {}, /choose where secrets come from/],
    ['a value of the wrong type', { ...PRODUCTION, 'edge.replicas': 'many' }, /edge.*replicas|replicas.*integer/s],
    ['a route without a Gateway', { ...PRODUCTION, 'httpRoute.enabled': 'true' }, /parentRefs is required/],
    ['an unknown value', { ...PRODUCTION, 'edge.replica': '3' }, /additional|not allowed/i],
  ])('refuses %s with a clear message', (_what, values, message) => {
    expect(() => render(values as Record<string, string>)).toThrow(message);
  });
});
