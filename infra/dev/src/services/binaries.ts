import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function children(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Highest version first: /usr/lib/postgresql/9 must not win over /usr/lib/postgresql/16. */
function byVersionDescending(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}

function searchFolders(): string[] {
  // sbin is missing from an ordinary user's PATH on Debian, where nats-server lives in it.
  const fixed = ['/usr/local/bin', '/usr/local/sbin', '/usr/bin', '/usr/sbin', '/opt/homebrew/bin'];
  return [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), ...fixed];
}

/** Full path of a program on this machine, or undefined. */
export function findBinary(name: string): string | undefined {
  return searchFolders()
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** The folder that holds both `initdb` and `postgres`; Debian keeps them out of the PATH, one folder per version. */
export function findPostgresFolder(): string | undefined {
  const versioned = [
    ...children('/usr/lib/postgresql').sort(byVersionDescending),
    ...children('/opt/homebrew/opt')
      .filter((path) => /\/postgresql(@\d+)?$/.test(path))
      .sort(byVersionDescending),
    ...children('/usr/local/opt')
      .filter((path) => /\/postgresql(@\d+)?$/.test(path))
      .sort(byVersionDescending),
  ].map((folder) => join(folder, 'bin'));
  return [...versioned, '/usr/local/pgsql/bin', ...searchFolders()].find(
    (folder) => isExecutable(join(folder, 'initdb')) && isExecutable(join(folder, 'postgres')),
  );
}
