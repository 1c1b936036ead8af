import { describe, expect, it } from '@jest/globals';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from './paths.js';

interface Workflow {
  permissions?: Record<string, string>;
  jobs: Record<
    string,
    { 'timeout-minutes'?: number; strategy?: { matrix: { target?: string[] } }; steps: { uses?: string; run?: string; with?: Record<string, unknown> }[] }
  >;
}

const workflows = globSync('.github/workflows/*.yml', { cwd: ROOT })
  .toSorted()
  .map((file): [string, Workflow] => [file, parse(readFileSync(join(ROOT, file), 'utf8')) as Workflow]);

describe.each(workflows)('%s', (_file, workflow) => {
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

  it('starts with the right to read and nothing else; a job asks for what it needs more', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  it('names the major version of every action and a longest time for every job', () => {
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w./-]+@v\d+$/);
    for (const job of Object.values(workflow.jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0);
  });

  it('leaves no token in the working copy and puts nothing that a stranger wrote into a shell', () => {
    for (const step of steps) {
      if (step.uses?.startsWith('actions/checkout@')) expect(step.with).toMatchObject({ 'persist-credentials': false });
      expect(step.run ?? '').not.toContain('${{');
    }
  });
});

it('installs the dependencies of every package of the workspace before the sources come into the image', () => {
  const copied = [...readFileSync(join(ROOT, 'infra/Dockerfile'), 'utf8').matchAll(/^COPY (\S+)\/package\.json \1\/$/gm)].map((match) => match[1]);
  const { packages } = parse(readFileSync(join(ROOT, 'pnpm-workspace.yaml'), 'utf8')) as { packages: string[] };
  const manifests = globSync(
    packages.map((pattern) => `${pattern}/package.json`),
    { cwd: ROOT, exclude: (path) => String(path).includes('node_modules') },
  ).map((path) => String(path).replace(/\/package\.json$/, ''));
  expect(copied.toSorted()).toEqual(manifests.toSorted());
});

/** Whether Docker leaves a file out of what it sends to the builder: the last pattern that fits decides. */
function isIgnored(file: string): boolean {
  let ignored = false;
  for (const line of readFileSync(join(ROOT, 'infra/Dockerfile.dockerignore'), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const pattern = line.replace(/^!/, '');
    const parts = file.split('/');
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    if (prefixes.some((prefix) => matchesGlob(prefix, pattern))) ignored = !line.startsWith('!');
  }
  return ignored;
}

it('sends everything to the builder that the Dockerfile copies and that the build generates from', () => {
  const copies = [...readFileSync(join(ROOT, 'infra/Dockerfile'), 'utf8').matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
  expect(copies.length).toBeGreaterThan(15);
  const needed = [...copies.filter((file) => file !== '.'), 'docs/reference/admin-openapi.json', 'prisma/migrations/migration_lock.toml'];
  expect(needed.filter((file) => isIgnored(file) || !existsSync(join(ROOT, file)))).toEqual([]);
  for (const secret of ['.env', '.git/config', '.omg/state.json', 'apps/edge-gateway/dist/main.js'])
    expect([secret, isIgnored(secret)]).toEqual([secret, true]);
});

it('releases an image for every service target of the Dockerfile', () => {
  const targets = [...readFileSync(join(ROOT, 'infra/Dockerfile'), 'utf8').matchAll(/^FROM runtime AS (\S+)$/gm)].map((match) => match[1]);
  const release = Object.fromEntries(workflows)['.github/workflows/release.yml']!;
  expect(release.jobs['images']!.strategy!.matrix.target!.toSorted()).toEqual(targets.toSorted());
});
