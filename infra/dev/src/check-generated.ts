import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { mustRun } from './run.ts';
import { TURBO_ENVIRONMENT } from './prepare.ts';

/** Files that are generated and committed, so that people can read them and reviews show their changes. */
const GENERATED = ['docs/reference/**/*', 'docs/guides/capacity.md', 'infra/router.example.yaml', '.env.example', '**/*.generated.{json,yaml,md}'];

function fingerprints(): Map<string, string> {
  const files = globSync(GENERATED, { cwd: ROOT, exclude: (name) => String(name).includes('node_modules'), withFileTypes: false });
  return new Map(
    files.flatMap((file) => {
      try {
        return [
          [
            file,
            createHash('sha256')
              .update(readFileSync(join(ROOT, file)))
              .digest('hex'),
          ] as const,
        ];
      } catch {
        // A folder.
        return [];
      }
    }),
  );
}

const before = fingerprints();
await mustRun('generating', 'pnpm', ['exec', 'turbo', 'run', 'generate', '--force', '--output-logs=errors-only'], { env: TURBO_ENVIRONMENT });
const after = fingerprints();
const changed = [...new Set([...before.keys(), ...after.keys()])].filter((file) => before.get(file) !== after.get(file));
if (changed.length > 0) {
  process.stderr.write(`these generated files were not up to date; they are now, commit them:\n${changed.map((file) => `  ${file}`).join('\n')}\n`);
  process.exitCode = 1;
}
