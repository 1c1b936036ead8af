import { stringify } from 'yaml';
import { z } from 'zod';
import { formatDuration } from '../duration.js';
import { unwrap } from '../fields.js';
import { leavesOf, type Leaf } from '../schema.js';

const HEADER = `# Every key of the configuration with its default. Generated: pnpm generate.
#
# Copy it to router.yaml and keep what you change. Environment variables win over this file:
# server.body_limit_mb is ROUTER_SERVER_BODY_LIMIT_MB. \${VAR} and \${VAR:-default} are expanded.
# docs/reference/configuration.md tells types, defaults and variables.`;

/** The default of a leaf as the file writes it; undefined when there is none. */
export function defaultOf(leaf: Leaf): unknown {
  const parsed = leaf.schema.safeParse(undefined);
  if (!parsed.success || parsed.data === undefined) return undefined;
  return leaf.meta.kind === 'duration' ? formatDuration(parsed.data as number) : parsed.data;
}

/** What the sample shows: examples of lists of objects and of secrets that come from the environment, else the default. */
export function sampleOf(leaf: Leaf): unknown {
  const { example, kind, secret } = leaf.meta;
  const isReference = secret === true && typeof example === 'string' && example.startsWith('${');
  if (example !== undefined && (kind === 'json' || isReference)) return example;
  if (leaf.dotted === 'profile') return '${ROUTER_PROFILE:-production}';
  return defaultOf(leaf) ?? example;
}

export function choicesOf(leaf: Leaf): readonly string[] {
  const inner = unwrap(leaf.schema);
  return inner instanceof z.ZodEnum ? (inner.options as string[]) : [];
}

export function sampleFile(): string {
  const lines: string[] = [HEADER];
  let before: readonly string[] = [];
  for (const leaf of leavesOf()) {
    leaf.path.slice(0, -1).forEach((key, depth) => {
      if (before.length > depth + 1 && before.slice(0, depth + 1).join('.') === leaf.path.slice(0, depth + 1).join('.')) return;
      if (depth === 0) lines.push('');
      lines.push(`${'  '.repeat(depth)}${key}:`);
    });
    if (leaf.path.length === 1) lines.push('');
    before = leaf.path;
    const text = stringify({ [leaf.path.at(-1)!]: sampleOf(leaf) }, { lineWidth: 0, singleQuote: true }).trimEnd();
    lines.push(...[`# ${about(leaf)}`, ...text.split('\n')].map((line) => '  '.repeat(leaf.path.length - 1) + line));
  }
  return `${lines.join('\n')}\n`;
}

function about(leaf: Leaf): string {
  const choices = choicesOf(leaf);
  const { example, kind, secret } = leaf.meta;
  const shown = sampleOf(leaf);
  const hint = example !== undefined && shown !== example && kind !== 'json' && !secret ? ` Example: ${JSON.stringify(example)}` : '';
  return `${leaf.meta.about}${choices.length > 0 ? ` One of: ${choices.join(', ')}.` : ''}${hint}`;
}
