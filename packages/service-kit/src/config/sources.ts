import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { parseDocument, type Document } from 'yaml';

/** Where the values come from: process environment > `.env` > YAML > defaults. */
export interface Sources {
  /** Parsed YAML, an empty object when there is no file. */
  file: Readonly<Record<string, unknown>>;
  filePath: string | undefined;
  /** Environment over `.env`; an empty variable counts as not set. */
  variables: ReadonlyMap<string, string>;
}

export interface SourceOptions {
  argv?: readonly string[];
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
}

/** Problems of reading, told without a word of the file's content, which may be secret. */
export class ConfigSourceError extends Error {}

const DEFAULT_FILES = ['router.yaml', 'config/router.yaml'];
const FILE_BYTES_MAX = 8 * 1024 * 1024;

export function readSources(options: SourceOptions): Sources {
  const cwd = options.cwd ?? process.cwd();
  const variables = new Map<string, string>();
  const dotEnv = join(cwd, '.env');
  if (existsSync(dotEnv)) for (const [name, value] of Object.entries(parseEnv(readText(dotEnv)))) if (value) variables.set(name, value);
  for (const [name, value] of Object.entries(options.env ?? process.env)) if (value) variables.set(name, value);

  const explicit = configOption(options.argv ?? []) ?? variables.get('ROUTER_CONFIG_FILE');
  if (explicit !== undefined) return { ...readYaml(resolve(cwd, explicit)), variables };
  const found = DEFAULT_FILES.map((name) => join(cwd, name)).find((path) => existsSync(path));
  return found ? { ...readYaml(found), variables } : { file: {}, filePath: undefined, variables };
}

function configOption(argv: readonly string[]): string | undefined {
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument.startsWith('--config=')) return argument.slice('--config='.length);
    if (argument === '--config') {
      const value = argv[index + 1];
      if (!value) throw new ConfigSourceError('--config needs a file name');
      return value;
    }
  }
  return undefined;
}

function readYaml(path: string): { file: Record<string, unknown>; filePath: string } {
  const document = parseDocument(readText(path), { prettyErrors: false, merge: true });
  const error = document.errors[0];
  // The parser's message may quote the file, so only its code is told.
  if (error) throw new ConfigSourceError(`${path}: not valid YAML (${error.code} at character ${error.pos[0]})`);
  const value = toValue(document, path);
  if (value === null || value === undefined) return { file: {}, filePath: path };
  if (typeof value !== 'object' || Array.isArray(value)) throw new ConfigSourceError(`${path}: must be a map of sections`);
  return { file: value as Record<string, unknown>, filePath: path };
}

/** Aliases are followed only here: one that nothing anchors, or a bomb of them, is a mistake of the file as well. */
function toValue(document: Document, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw new ConfigSourceError(`${path}: not valid YAML (an alias has no anchor before it, or there are too many of them)`);
  }
}

function readText(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigSourceError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`);
  }
  if (text.length > FILE_BYTES_MAX) throw new ConfigSourceError(`${path}: larger than 8 MiB`);
  return text;
}

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${VAR}` and `${VAR:-default}` in every text of a YAML value; `$${` stays `${`. Missing variables are collected
 * in `missing`.
 */
export function expand(value: unknown, variables: ReadonlyMap<string, string>, missing: Set<string>): unknown {
  if (typeof value === 'string') {
    if (!value.includes('${')) return value;
    return value.replace(REFERENCE, (whole, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return '${';
      const found = variables.get(name) ?? fallback;
      if (found === undefined) missing.add(name);
      return found ?? whole;
    });
  }
  if (Array.isArray(value)) return value.map((item) => expand(item, variables, missing));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, variables, missing)]));
  return value;
}
