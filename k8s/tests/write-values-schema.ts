import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/**
 * Writes values.schema.json from values.yaml: the types are those of the defaults, unknown names are refused. Maps and lists
 * that are Kubernetes' own (resources, tolerations, ...) and the gateway's configuration stay open.
 */
const CHART = join(import.meta.dirname, '..', 'charts', 'open-model-gateway');

const OPEN_MAPS: ReadonlySet<string> = new Set(['config', 'extra', 'annotations', 'resources', 'nodeSelector', 'affinity', 'podAnnotations', 'labels']);

type Schema = Record<string, unknown>;

function schemaOf(value: unknown, name: string): Schema {
  if (typeof value === 'boolean') return { type: 'boolean' };
  if (typeof value === 'number') return { type: 'integer', minimum: 0 };
  if (typeof value === 'string') return { type: 'string' };
  if (Array.isArray(value)) return { type: 'array' };
  if (OPEN_MAPS.has(name)) return { type: 'object' };
  const properties = Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, schemaOf(item, key)]));
  return { type: 'object', additionalProperties: false, properties };
}

export function valuesSchema(): string {
  const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Record<string, unknown>;
  const schema = schemaOf(values, 'values') as { properties: Record<string, Schema> };
  // Helm itself adds it when the chart is a part of another one.
  schema.properties['global'] = { type: 'object' };
  return `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Values of the open-model-gateway chart', ...schema }, null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(join(CHART, 'values.schema.json'), valuesSchema());
