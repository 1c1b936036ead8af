import { expect, it } from '@jest/globals';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configPathOf, leavesOf, type Leaf } from './schema.js';

const ROOT = join(import.meta.dirname, '../../../..');

/** Words of the code that runs: everything but tests and the schema itself. */
function words(pattern: string): Set<string> {
  const files = globSync(pattern, {
    cwd: ROOT,
    exclude: (name) => /service-kit\/src\/config|generated|__fixtures__|\.test\.ts|fixture|testing/.test(String(name)),
  });
  return new Set(files.flatMap((file) => readFileSync(join(ROOT, file), 'utf8').match(/[A-Za-z_][\w.]*/g) ?? []).flatMap((word) => [word, ...word.split('.')]));
}

it('every setting is read somewhere: none is checked, documented and then without effect', () => {
  const code = words('{apps,packages}/*/src/**/*.ts');
  const providers = words('packages/providers/src/**/*.ts');
  // Providers name the shared credentials that they take as the file writes them.
  const isRead = (leaf: Leaf): boolean => (leaf.path[0] === 'providers' ? providers.has(leaf.path.slice(1).join('.')) : code.has(configPathOf(leaf).at(-1)!));
  const leaves = leavesOf();
  expect(leaves.length).toBeGreaterThan(100);
  expect(leaves.filter((leaf) => !isRead(leaf)).map(({ dotted }) => dotted)).toEqual([]);
});
