import type { JsonSchema } from './wire.js';

const DEPTH_MAX = 12;

function resolveReference(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref ?? '')?.[1];
  if (schema.$ref === '#') return root;
  return name === undefined ? {} : (root.$defs?.[name] ?? {});
}

function sampleObject(schema: JsonSchema, root: JsonSchema, hint: string, depth: number): Record<string, unknown> {
  const names = Object.keys(schema.properties ?? {});
  // Deep down only what must be there is filled in, so that recursive schemas end.
  const chosen = depth > DEPTH_MAX / 2 ? names.filter((name) => schema.required?.includes(name) === true) : names;
  return Object.fromEntries(chosen.map((name) => [name, sampleJson(schema.properties![name]!, root, hint, depth + 1)]));
}

function sampleString(schema: JsonSchema, hint: string): string {
  const text = hint === '' ? 'demo' : hint.slice(0, 60);
  return text.padEnd(schema.minLength ?? 0, '.');
}

/**
 * A value that satisfies a simple JSON schema (types, enum, const, required, local references, lower bounds).
 * `hint` is the text that strings are filled with.
 */
export function sampleJson(schema: JsonSchema, root: JsonSchema, hint: string, depth = 0): unknown {
  if (depth > DEPTH_MAX) return null;
  if (schema.$ref !== undefined) return sampleJson(resolveReference(schema, root), root, hint, depth + 1);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const choice = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (choice !== undefined) return sampleJson(choice, root, hint, depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : (schema.type ?? (schema.properties === undefined ? 'string' : 'object'));
  switch (type) {
    case 'object':
      return sampleObject(schema, root, hint, depth);
    case 'array':
      return Array.from({ length: Math.max(1, schema.minItems ?? 1) }, () => sampleJson(schema.items ?? {}, root, hint, depth + 1));
    case 'number':
    case 'integer':
      return Math.ceil(schema.minimum ?? 1);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return sampleString(schema, hint);
  }
}
