import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lint, render, type Manifest } from './helm.js';
import { violations } from './kubernetes-schema.js';
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
  'recorder.keda.enabled': 'true',
  'recorder.keda.natsServerMonitoringEndpoint': 'nats.bus:8222',
};
const SHAPES: [string, Record<string, string>][] = [
  ['trial', TRIAL],
  ['production with external services', PRODUCTION],
  ['air-gapped registry', AIR_GAPPED],
  ['operators of the cluster', OPERATORS],
];

const isOperatorObject = (manifest: Manifest): boolean =>
  /external-secrets\.io|keda\.sh|monitoring\.coreos\.com|gateway\.networking\.k8s\.io/.test(manifest.apiVersion);
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

  it('passes helm lint, and every object is one that Kubernetes accepts', () => {
    expect(lint(values)).toContain('0 chart(s) failed');
    expect(manifests.filter((manifest) => !isOperatorObject(manifest)).flatMap(violations)).toEqual([]);
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

  it('leaves streams more time to end than the service takes to drain', () => {
    const [, edge] = pods(render(PRODUCTION)).find(([name]) => name.endsWith('edge-gateway'))!;
    const drainSeconds = 60;
    expect(edge.spec.terminationGracePeriodSeconds).toBeGreaterThan(drainSeconds + 10);
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
    ['an unknown value', { ...PRODUCTION, 'edge.replica': '3' }, /additional|not allowed/i],
  ])('refuses %s with a clear message', (_what, values, message) => {
    expect(() => render(values as Record<string, string>)).toThrow(message);
  });
});
