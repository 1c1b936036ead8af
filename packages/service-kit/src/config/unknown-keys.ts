import { z } from 'zod';
import { unwrap } from './fields.js';
import { configSchema, UNSUPPORTED_SECTIONS, type Leaf } from './schema.js';

const WARNINGS_MAX = 50;

/** Names what the file sets and nobody reads. Values are never told. */
export function unknownKeys(file: Readonly<Record<string, unknown>>): string[] {
  const found: string[] = [];
  walk(configSchema, file, '', found);
  return found.slice(0, WARNINGS_MAX);
}

function walk(schema: z.ZodType, value: unknown, path: string, found: string[]): void {
  const inner = objectOf(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    value.forEach((item, index) => walk(inner.element as z.ZodType, item, `${path}[${index}]`, found));
    return;
  }
  if (!(inner instanceof z.ZodObject) || typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const shape = inner.shape as Record<string, z.ZodType>;
  for (const [key, child] of Object.entries(value)) {
    const dotted = path === '' ? key : `${path}.${key}`;
    const known = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (known) walk(known, child, dotted, found);
    // Keys of the file's own, such as the home of an anchor.
    else if (path === '' && key.startsWith('x-')) continue;
    else if (path === '' && UNSUPPORTED_SECTIONS.has(key)) found.push(`${key}: not a part of this gateway, the section has no effect`);
    else found.push(`${dotted}: unknown key, it has no effect`);
  }
}

/** Looks through defaults and transformations. */
function objectOf(schema: z.ZodType): z.ZodType {
  const inner = unwrap(schema);
  return inner instanceof z.ZodPipe ? objectOf(inner.in as z.ZodType) : inner;
}

/** Names of the variables that look like ours and are nobody's; Kubernetes' service links are left out. */
export function unknownVariables(variables: ReadonlyMap<string, string>, leaves: readonly Leaf[]): string[] {
  const known = new Set(['ROUTER_CONFIG_FILE', ...leaves.flatMap((leaf) => [leaf.variable, ...leaf.aliases])]);
  return [...variables.keys()]
    .filter((name) => name.startsWith('ROUTER_') && !known.has(name) && !/^ROUTER_(PORT|SERVICE)(_|$)/.test(name))
    .slice(0, WARNINGS_MAX)
    .map((name) => `${name}: unknown variable, it has no effect`);
}
