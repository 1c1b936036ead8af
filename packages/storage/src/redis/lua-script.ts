import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One operation: `lua/<name>-<number of keys>.lua` with its includes, as Redis gets it. */
export interface LuaScript {
  name: string;
  numberOfKeys: number;
  source: string;
  sha: string;
}

const FOLDER = join(import.meta.dirname, 'lua');
const INCLUDE = /^--- @include ([a-z-]+)$/gm;
const COMMENT_LINE = /^\s*--.*\n/gm;

/** Reads a script once, at start. Throws when the file is missing: the build did not copy it. */
export function loadLuaScript(name: string, numberOfKeys: number): LuaScript {
  const text = readFileSync(join(FOLDER, `${name}-${numberOfKeys}.lua`), 'utf8');
  const source = text.replace(INCLUDE, (_, include: string) => readFileSync(join(FOLDER, 'includes', `${include}.lua`), 'utf8')).replace(COMMENT_LINE, '');
  return { name, numberOfKeys, source, sha: createHash('sha1').update(source).digest('hex') };
}
