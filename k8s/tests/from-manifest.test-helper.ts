import { startProcess, stopProcess } from '@omg/dev';
import { addCleanup, repositoryRoot } from '@omg/testkit';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Manifest } from './helm.js';

/** What the tests read of a rendered container. */
export interface Container {
  args: string[];
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: { key: string } } }[];
  readinessProbe: { httpGet: { path: string } };
  startupProbe: { httpGet: { path: string } };
}

export function containerOf(manifests: readonly Manifest[], kind: string, component: string): Container {
  const manifest = manifests.find((candidate) => candidate.kind === kind && candidate.metadata.labels!['app.kubernetes.io/component'] === component)!;
  return (manifest.spec as { template: { spec: { containers: Container[] } } }).template.spec.containers[0]!;
}

/** `router.yaml` as the pods get it. */
export function configOf(manifests: readonly Manifest[]): Record<string, any> {
  const configMap = manifests.find((manifest) => manifest.kind === 'ConfigMap')!;
  return parse((configMap['data'] as Record<string, string>)['router.yaml']!) as Record<string, any>;
}

function environment(container: Container, secret: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    container.env.map(({ name, value, valueFrom }) => {
      const resolved = value ?? secret[valueFrom!.secretKeyRef.key];
      if (resolved === undefined) throw new Error(`${name} comes from an entry that the Secret does not have`);
      return [name, resolved];
    }),
  );
}

/**
 * Runs the container's arguments as the image would, in the service's folder, with nothing in the environment but what the
 * manifest gives; stopped by `cleanUp`. `configFile` takes the place of the mounted one, `change` of single variables.
 */
export async function startContainer(
  container: Container,
  options: { workingFolder: string; configFile: string; secret: Record<string, string>; change?: Record<string, string> },
) {
  const args = container.args.map((arg) => (arg === '/etc/omg/router.yaml' ? options.configFile : arg));
  const env = { PATH: process.env['PATH']!, ...environment(container, options.secret), ...options.change };
  const started = await startProcess(process.execPath, args, { cwd: join(repositoryRoot(), options.workingFolder), env, stdio: 'ignore' });
  addCleanup(() => stopProcess(started.identity, 'SIGTERM', 5000).then(() => undefined));
  return started;
}
