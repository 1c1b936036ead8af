import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The repository's root folder. */
export const ROOT = resolve(import.meta.dirname, '..', '..', '..');

/**
 * Everything that a stack keeps: data, logs, what is running. Safe to delete when nothing runs. OMG_FOLDER names another one, for a
 * second stack beside the first.
 */
export const OMG_FOLDER = resolve(process.env['OMG_FOLDER'] || join(ROOT, '.omg'));

export const LOG_FOLDER = join(OMG_FOLDER, 'log');
export const STATE_FILE = join(OMG_FOLDER, 'run', 'state.json');

export function ensureFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}
