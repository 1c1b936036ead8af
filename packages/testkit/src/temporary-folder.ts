import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addCleanup } from './cleanup.js';

/** A new folder that `cleanUp()` removes, after whatever was started in it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'omg-test-'));
  addCleanup(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
