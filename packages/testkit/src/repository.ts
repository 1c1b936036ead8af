import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

let found: string | undefined;

/** The repository's root folder, found upwards from this file. */
export function repositoryRoot(): string {
  if (found !== undefined) return found;
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return (found = folder);
  }
  throw new Error('the testkit lies outside the repository');
}
