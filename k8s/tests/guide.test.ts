import { describe, expect, it } from '@jest/globals';
import { documentedCommands, repositoryRoot } from '@omg/testkit';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { helmBinary, renderYaml } from './helm.js';
import { violations } from './kubernetes-schema.js';
import { isOperatorObject, operatorViolations } from './operator-schema.js';

/** The values that docs/guides/kubernetes.md tells to use. */
const blocks = [...readFileSync(join(repositoryRoot(), 'docs/guides/kubernetes.md'), 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(
  (match) => parse(match[1]!) as Record<string, any>,
);
const production = blocks.find((block) => 'config' in block)!;

describe('the guide "Kubernetes from zero"', () => {
  it('has values for production that the chart renders to objects that Kubernetes accepts', () => {
    const manifests = renderYaml(JSON.stringify(production));
    expect(manifests.flatMap((manifest) => (isOperatorObject(manifest) ? operatorViolations(manifest) : violations(manifest)))).toEqual([]);
    expect(manifests.map((manifest) => manifest.kind)).toEqual(expect.arrayContaining(['Ingress', 'Job', 'HorizontalPodAutoscaler']));
  });

  it('looks at what the values render, by commands that work as they are written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'omg-values-'));
    try {
      writeFileSync(join(folder, 'production.yaml'), JSON.stringify(production));
      const [commands] = documentedCommands(import.meta.filename, 'docs/guides/kubernetes.md');
      const script = commands!.replaceAll('production.yaml', join(folder, 'production.yaml'));
      const env = { ...process.env, PATH: `${dirname(helmBinary())}:${process.env['PATH']}` };
      const output = execFileSync('sh', ['-euc', script], { cwd: repositoryRoot(), env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
      expect(output).toContain('0 chart(s) failed');
      expect(output).toContain('kind: Deployment');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('gives a pod longer to end than its streams may go on', () => {
    const drainSeconds = Number.parseInt(production['config'].server.graceful_shutdown_delay, 10);
    expect(production['edge'].terminationGracePeriodSeconds).toBeGreaterThan(drainSeconds + 5);
  });

  it('has other values that fit beside them', () => {
    const others = blocks.filter((block) => block !== production);
    expect(others).toHaveLength(2);
    for (const other of others) {
      const values = { ...production, ...other };
      expect(renderYaml(JSON.stringify(values)).length).toBeGreaterThan(10);
    }
  });
});
