import type { z } from 'zod';
import { CHECKS, checkSecrets, type Report } from './checks.js';
import { coerce } from './coerce.js';
import { configPathOf, leavesOf, type ConfigOf, type Leaf, type SectionName } from './schema.js';
import { catalogEntrySchema, readCatalog, UNRESOLVED } from './sections/catalog.js';
import { DEVELOPMENT_SECRETS } from './secret-policy.js';
import { ConfigSourceError, expand, readSources, type SourceOptions, type Sources } from './sources.js';
import { unknownKeys, unknownVariables } from './unknown-keys.js';

export interface LoadConfigOptions<S extends SectionName> extends SourceOptions {
  /** What this service reads; the rest of a shared file is neither validated nor required. `profile` and `observability` always come along. */
  sections: readonly S[];
  /** Secrets of those sections that this service does not need, such as `secrets.api_key_pepper` for the monitor. */
  exceptSecrets?: readonly string[];
}

export interface LoadedConfig<S extends SectionName> {
  config: ConfigOf<S>;
  /** For the log; they hold names, never values. */
  warnings: string[];
  filePath: string | undefined;
  /** `PORT`: replaces the port of the service's own listen address; 0 takes a free one. */
  port: number | undefined;
}

/** Every problem in one message: dotted path, variable name, reason; never a value. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The configuration has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/**
 * Reads the configuration: process environment > `.env` > YAML > defaults. Throws a ConfigError that lists all problems of
 * the sections asked for.
 */
export function loadConfig<const S extends SectionName>(options: LoadConfigOptions<S>): LoadedConfig<S> {
  const sources = readOrThrow(options);
  const leaves = leavesOf();
  const wanted = new Set<string>([...options.sections, 'profile', 'observability']);
  const problems: string[] = [];
  const warnings = [...unknownKeys(sources.file), ...unknownCatalogKeys(sources.file), ...unknownVariables(sources.variables, leaves)];
  const values = new Map<string, unknown>();
  for (const leaf of leaves) if (wanted.has(leaf.path[0]!)) readLeaf(leaf, sources, values, problems, warnings);

  const variables = new Map(leaves.map((leaf) => [leaf.dotted, leaf.variable]));
  const report: Report = {
    problem: (dotted, message) => problems.push(`${dotted} (${variables.get(dotted)}): ${message}`),
    warn: (message) => warnings.push(message),
  };
  const broken = new Set(leaves.filter((leaf) => wanted.has(leaf.path[0]!) && !values.has(leaf.dotted)).map((leaf) => leaf.path[0]!));
  const usable = (name: string) => wanted.has(name) && !broken.has(name);
  if (values.get('profile') !== 'production') fillSecrets(values, warnings);
  for (const check of CHECKS) if (check.sections.every(usable)) check.run(values, report);
  if (values.get('profile') === 'production') checkSecrets(values, new Set(options.exceptSecrets), report);
  const port = readPort(sources, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: assemble(leaves, values, warnings) as ConfigOf<S>, warnings, filePath: sources.filePath, port };
}

function readOrThrow(options: SourceOptions): Sources {
  try {
    return readSources(options);
  } catch (error) {
    if (error instanceof ConfigSourceError) throw new ConfigError([error.message]);
    throw error;
  }
}

function readLeaf(leaf: Leaf, sources: Sources, values: Map<string, unknown>, problems: string[], warnings: string[]): void {
  const label = `${leaf.dotted} (${leaf.variable})`;
  const names = [leaf.variable, ...leaf.aliases].filter((name) => sources.variables.has(name));
  if (names.length > 1 && new Set(names.map((name) => sources.variables.get(name))).size > 1)
    warnings.push(`${names.join(' and ')} differ; ${names[0]} counts`);
  const raw = names.length > 0 ? sources.variables.get(names[0]!) : fromFile(leaf, sources, label, problems);
  if (raw === UNREADABLE) return;
  const coerced = raw === undefined || raw === null ? { value: undefined } : coerce(leaf.meta.kind, raw);
  if ('problem' in coerced) return void problems.push(`${label}: ${coerced.problem}`);
  const parsed = leaf.schema.safeParse(coerced.value);
  if (parsed.success) values.set(leaf.dotted, parsed.data);
  else for (const issue of parsed.error.issues) problems.push(`${label}${position(issue)}: ${messageOf(issue, coerced.value === undefined)}`);
}

/** A problem was told already. */
const UNREADABLE = Symbol('unreadable');

function fromFile(leaf: Leaf, sources: Sources, label: string, problems: string[]): unknown {
  const found = inFile(sources.file, leaf.path, label, problems);
  // A catalog entry is validated and switched off alone, so a variable that it misses is its own problem.
  if (leaf.dotted === 'model_catalog' && Array.isArray(found)) return found.map((entry) => expandEntry(entry, sources));
  const missing = new Set<string>();
  const raw = expand(found, sources.variables, missing);
  if (missing.size === 0) return raw;
  problems.push(`${label}: refers to ${[...missing].join(', ')}, which is not set`);
  return UNREADABLE;
}

function expandEntry(entry: unknown, sources: Sources): unknown {
  const missing = new Set<string>();
  const expanded = expand(entry, sources.variables, missing);
  return missing.size === 0 ? expanded : { ...(expanded as object), [UNRESOLVED]: [...missing] };
}

function position(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? '' : ` at ${issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')}`;
}

function messageOf(issue: z.core.$ZodIssue, absent: boolean): string {
  if (absent && issue.path.length === 0 && issue.code === 'invalid_type') return 'is required';
  return issue.message;
}

function inFile(file: Readonly<Record<string, unknown>>, path: readonly string[], label: string, problems: string[]): unknown {
  let value: unknown = file;
  for (const key of path) {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) {
      problems.push(`${label}: the section around it is not a map`);
      return undefined;
    }
    value = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}

function fillSecrets(values: Map<string, unknown>, warnings: string[]): void {
  for (const [path, value] of Object.entries(DEVELOPMENT_SECRETS)) {
    const current = values.get(path);
    if (current === undefined || (Array.isArray(current) ? current.length > 0 : current !== '')) continue;
    values.set(path, value);
    warnings.push(`${path}: not set, so the well-known value of the profile ${String(values.get('profile'))} is used`);
  }
}

function readPort(sources: Sources, problems: string[]): number | undefined {
  const text = sources.variables.get('PORT');
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) problems.push('PORT: must be a port number, or 0 for a free one');
  return port;
}

function unknownCatalogKeys(file: Readonly<Record<string, unknown>>): string[] {
  const entries = Array.isArray(file['model_catalog']) ? (file['model_catalog'] as unknown[]) : [];
  const known = new Set(Object.keys(catalogEntrySchema.in.shape));
  return entries.flatMap((entry, index) =>
    typeof entry === 'object' && entry !== null
      ? Object.keys(entry)
          .filter((key) => !known.has(key))
          .map((key) => `model_catalog[${index}].${key}: unknown key, it has no effect`)
      : [],
  );
}

/** Builds the typed object: camel case, durations with `Ms`. */
function assemble(leaves: readonly Leaf[], values: ReadonlyMap<string, unknown>, warnings: string[]): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const leaf of leaves) {
    if (!values.has(leaf.dotted)) continue;
    let target = config;
    const path = configPathOf(leaf);
    for (const key of path.slice(0, -1)) target = (target[key] ??= {}) as Record<string, unknown>;
    target[path.at(-1)!] = values.get(leaf.dotted);
  }
  if (Array.isArray(config['modelCatalog'])) {
    const catalog = readCatalog(config['modelCatalog']);
    config['modelCatalog'] = catalog.items;
    warnings.push(...catalog.warnings);
  }
  return config;
}
