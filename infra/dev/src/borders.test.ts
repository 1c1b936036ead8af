import { execFile } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROOT } from './paths.ts';

const CRUISER = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs');

interface Cruise {
  modules: { source: string }[];
  summary: { violations: { rule: { name: string }; from: string; to: string }[] };
}

async function cruise(folder: string, roots: string[]): Promise<Cruise> {
  const args = [CRUISER, '--config', join(folder, '.dependency-cruiser.cjs'), '--output-type', 'json', ...roots];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: { stdout: string }) => error,
  );
  return JSON.parse(stdout) as Cruise;
}

/** One violation per rule: importing file, what it imports, and the rule that must find it. */
const PLANTED: [rule: string, from: string, imported: string][] = [
  ['no-circular', 'packages/domain/src/circle-a.ts', './circle-b.js'],
  ['no-unresolvable', 'packages/domain/src/lost.ts', './nowhere.js'],
  ['domain-imports-nothing-of-ours', 'packages/domain/src/outward.ts', '../../contracts/src/index.js'],
  ['domain-does-no-io', 'packages/domain/src/reader.ts', 'node:fs'],
  ['contracts-know-only-domain-and-zod', 'packages/contracts/src/outward.ts', 'pg'],
  ['providers-know-only-domain-and-contracts', 'packages/providers/src/outward.ts', '@nestjs/common'],
  ['storage-knows-only-domain-and-contracts', 'packages/storage/src/outward.ts', '../../service-kit/src/index.js'],
  ['database-knows-only-storage-domain-and-contracts', 'packages/database/src/outward.ts', '../../service-kit/src/index.js'],
  ['service-kit-knows-no-app-and-no-provider', 'packages/service-kit/src/outward.ts', '../../providers/src/index.js'],
  ['apps-never-import-apps', 'apps/edge-gateway/src/neighbour.ts', '../../admin-api/src/index.js'],
  ['testkit-only-in-tests', 'apps/admin-api/src/fake.ts', '../../../packages/testkit/src/index.js'],
  ['stores-only-through-storage', 'apps/admin-api/src/query.ts', 'pg'],
  ['edge-and-monitor-never-open-postgres', 'apps/edge-gateway/src/query.ts', '../../../packages/database/src/index.js'],
  ['no-nest-on-the-data-plane', 'apps/edge-gateway/src/data-plane/guard.ts', '@nestjs/common'],
  ['packages-only-through-their-entry', 'apps/admin-api/src/deep.ts', '../../../packages/storage/src/secret.js'],
];

const SUPPORT = [
  'packages/contracts/src/index.ts',
  'packages/database/src/index.ts',
  'packages/providers/src/index.ts',
  'packages/service-kit/src/index.ts',
  'packages/storage/src/secret.ts',
  'packages/testkit/src/index.ts',
  'apps/admin-api/src/index.ts',
];

function plant(folder: string): void {
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  copyFileSync(join(ROOT, '.dependency-cruiser.cjs'), join(folder, '.dependency-cruiser.cjs'));
  write('tsconfig.json', JSON.stringify({ compilerOptions: { module: 'NodeNext', moduleResolution: 'NodeNext' } }));
  for (const name of ['pg', '@nestjs/common']) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, '');
  }
  write('package.json', JSON.stringify({ name: 'planted', dependencies: { pg: '1', '@nestjs/common': '1' } }));
  for (const file of SUPPORT) write(file, 'export const value = 1;\n');
  write('packages/domain/src/circle-b.ts', "import './circle-a.js';\nexport const b = 1;\n");
  for (const [, from, imported] of PLANTED) write(from, `import '${imported}';\nexport const planted = 1;\n`);
}

describe('the border check', () => {
  let folder: string;
  let found: Cruise;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'omg-borders-'));
    plant(folder);
    found = await cruise(folder, ['apps', 'packages']);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(PLANTED)('finds a planted violation of %s', (rule, from) => {
    expect(found.summary.violations.filter((violation) => violation.from === from).map((violation) => violation.rule.name)).toContain(rule);
  });

  it('has a planted violation for every rule', () => {
    const rules = [...readFileSync(join(ROOT, '.dependency-cruiser.cjs'), 'utf8').matchAll(/^ {6}name: '(.+)',$/gm)].map((match) => match[1]);
    expect(PLANTED.map(([rule]) => rule).sort()).toEqual(rules.sort());
  });

  it('sees every source file of the repository', async () => {
    const files = globSync('{apps,packages}/*/src/**/*.ts', { cwd: ROOT, exclude: (name) => String(name).includes('generated') });
    const { modules } = await cruise(ROOT, ['apps', 'packages']);
    const seen = new Set(modules.map((module) => module.source));
    expect(files.length).toBeGreaterThan(100);
    expect(files.filter((file) => !seen.has(file) && !file.includes('__fixtures__'))).toEqual([]);
  });
});

describe('provider names', () => {
  /** Slugs are data: rows, documents and metrics carry them. Code that compares with one belongs to the provider's folder. */
  const slugs = globSync('packages/providers/src/*/adapter.ts', { cwd: ROOT }).map((path) => basename(dirname(path)));
  const literal = new RegExp(`(?<!from |import |import\\()(['"\`])(${slugs.join('|')})\\1`);
  /** The configuration file has a block per provider: its schema names them. */
  const allowed = ['packages/service-kit/src/config/sections/catalog.ts'];

  it('stand only in packages/providers', () => {
    const files = globSync('{apps,packages}/*/src/**/*.ts', { cwd: ROOT, exclude: (name) => /generated|__fixtures__/.test(String(name)) });
    const suspects = files.filter(
      (file) => !/^packages\/(providers|testkit)\//.test(file) && !/\.test\.ts$|test-helper|fixture|\/testing\//.test(file) && !allowed.includes(file),
    );
    const found = suspects.flatMap((file) =>
      readFileSync(join(ROOT, file), 'utf8')
        .split('\n')
        .flatMap((line, index) => (literal.test(line) && !/^\s*(\*|\/\/)/.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(suspects.length).toBeGreaterThan(50);
    expect(slugs.length).toBeGreaterThan(8);
    expect(found).toEqual([]);
  });
});
