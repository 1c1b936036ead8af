import * as kubernetes from '@kubernetes/client-node';
import type { Manifest } from './helm.js';

interface Attribute {
  name: string;
  baseName: string;
  type: string;
}

interface Model {
  getAttributeTypeMap(): Attribute[];
}

const MODELS = kubernetes as unknown as Record<string, Partial<Model> | undefined>;

/** Types of the generated client that hold any content. */
const OPEN_TYPES: ReadonlySet<string> = new Set(['any', 'object', 'IntOrString', 'Quantity', 'Date', 'V1MicroTime']);

function modelOf(type: string): Model | undefined {
  const model = MODELS[type];
  return typeof model?.getAttributeTypeMap === 'function' ? (model as Model) : undefined;
}

/**
 * Every way in which a rendered object differs from the Kubernetes API: unknown fields, wrong kinds of values. The types are
 * those of the official client, which is generated from the API's OpenAPI document.
 */
export function violations(manifest: Manifest): string[] {
  const version = manifest.apiVersion.split('/').at(-1)!;
  const type = `${version[0]!.toUpperCase()}${version.slice(1)}${manifest.kind}`;
  if (!modelOf(type)) return [`${manifest.apiVersion} ${manifest.kind}: not an API of Kubernetes`];
  const found: string[] = [];
  check(manifest, type, `${manifest.kind} ${manifest.metadata.name}`, found);
  return found;
}

function check(value: unknown, type: string, at: string, found: string[]): void {
  if (value === null || value === undefined || OPEN_TYPES.has(type)) return;
  const list = /^Array<(.+)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) found.push(`${at}: not a list`);
    else value.forEach((item, index) => check(item, list[1]!, `${at}[${index}]`, found));
    return;
  }
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map) {
    if (typeof value !== 'object') found.push(`${at}: not a map`);
    else for (const [key, item] of Object.entries(value)) check(item, map[1]!, `${at}.${key}`, found);
    return;
  }
  const model = modelOf(type);
  if (!model) {
    if (['string', 'number', 'boolean'].includes(type) && typeof value !== type) found.push(`${at}: ${typeof value} where ${type} belongs`);
    return;
  }
  if (typeof value !== 'object' || Array.isArray(value)) return void found.push(`${at}: not an object`);
  const attributes = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute.type]));
  for (const [field, item] of Object.entries(value)) {
    const fieldType = attributes.get(field);
    if (fieldType === undefined) found.push(`${at}.${field}: unknown field`);
    else check(item, fieldType, `${at}.${field}`, found);
  }
}
