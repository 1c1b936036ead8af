import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { mustRun } from './run.ts';
import { say } from './terminal.ts';

const STAMP_FILE = join(ROOT, 'node_modules', '.omg-installed');

function manifestFiles(): string[] {
  const roots = ['apps', 'packages'].flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => join(folder, name)));
  const folders = ['.', 'prisma', 'e2e', 'infra/dev', 'infra/bench', 'k8s', ...roots];
  return ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...folders.map((folder) => join(folder, 'package.json'))];
}

/** Changes when an installation could come out differently. */
function dependencyFingerprint(): string {
  const hash = createHash('sha256').update(process.version);
  for (const file of manifestFiles()) {
    const path = join(ROOT, file);
    if (existsSync(path)) hash.update(file).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** `pnpm install` exactly as locked; nothing to do when the last one was for the same manifests. */
export async function installDependencies(): Promise<void> {
  const fingerprint = dependencyFingerprint();
  const installed = existsSync(join(ROOT, 'node_modules', '.modules.yaml')) && existsSync(STAMP_FILE) && readFileSync(STAMP_FILE, 'utf8') === fingerprint;
  if (installed) return;
  say('installing dependencies');
  await mustRun('pnpm install', 'pnpm', ['install', '--frozen-lockfile', '--config.confirmModulesPurge=false'], { env: { CI: 'true' } });
  writeFileSync(STAMP_FILE, fingerprint);
}

export const TURBO_ENVIRONMENT = { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' };

const BUILD_SILENT_MS = 3_000;

/** Generates and builds every package that changed since the last build. */
export async function buildAll(): Promise<void> {
  // Nearly always there is nothing to do, which takes a second and is not worth a word.
  const telling = setTimeout(() => say('building'), BUILD_SILENT_MS);
  await mustRun('the build', 'pnpm', ['exec', 'turbo', 'run', 'build', '--output-logs=errors-only'], { env: TURBO_ENVIRONMENT }).finally(() =>
    clearTimeout(telling),
  );
}

export async function prepare(): Promise<void> {
  await installDependencies();
  await buildAll();
}
