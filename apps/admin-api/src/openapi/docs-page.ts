import type { OpenAPIObject } from '@nestjs/swagger';

/** A readable page of the OpenAPI document: one static file without scripts, so nothing is loaded from elsewhere. */
export function renderDocsPage(document: OpenAPIObject): string {
  const groups = new Map<string, string[]>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item as Record<string, Operation>)) {
      const tag = operation.tags?.[0] ?? 'Other';
      groups.set(tag, [...(groups.get(tag) ?? []), renderOperation(method, path, operation)]);
    }
  }
  const names = [...groups.keys()].sort();
  const menu = names.map((name) => `<a href="#${escape(name)}">${escape(name)}</a>`).join(' · ');
  const body = names.map((name) => `<h2 id="${escape(name)}">${escape(name)}</h2>${groups.get(name)!.join('')}`).join('');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(document.info.title)}</title><style>${STYLE}</style></head>
<body><h1>${escape(document.info.title)}</h1><p>${escape(document.info.description ?? '')}</p><p><a href="openapi.json">OpenAPI ${escape(document.openapi)} document</a></p><nav>${menu}</nav>${body}</body></html>`;
}

interface Operation {
  tags?: string[];
  summary?: string;
  'x-permission'?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema }[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: Schema }> }>;
}

interface Schema {
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  additionalProperties?: Schema | boolean;
}

const STYLE =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}code,pre{font:13px/1.45 ui-monospace,monospace}' +
  'pre{background:#f5f5f7;padding:.6rem;overflow:auto;border-radius:6px}details{border:1px solid #ddd;border-radius:6px;margin:.4rem 0;padding:.4rem .7rem}summary{cursor:pointer}' +
  '.m{display:inline-block;min-width:4.2rem;font-weight:700}.p{float:right;color:#555}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}' +
  '@media (prefers-color-scheme:dark){body{background:#16161a;color:#e6e6ea}pre{background:#222228}details{border-color:#444}.p{color:#aaa}a{color:#8ab4ff}}';

function renderOperation(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    (parameter) =>
      `<tr><td><code>${escape(parameter.name)}</code></td><td>${parameter.in}${parameter.required ? ', required' : ''}</td><td><code>${escape(typeText(parameter.schema))}</code></td></tr>`,
  );
  const request = operation.requestBody?.content?.['application/json']?.schema;
  const answers = Object.entries(operation.responses ?? {})
    .filter(([status]) => status !== 'default')
    .map(([status, response]) => {
      const schema = response.content?.['application/json']?.schema;
      const kinds = Object.keys(response.content ?? {}).join(', ');
      return `<p><b>${escape(status)}</b> ${escape(kinds)}</p>${schema ? `<pre>${escape(shape(schema))}</pre>` : ''}`;
    });
  return `<details><summary><span class="m">${method.toUpperCase()}</span><code>${escape(path)}</code> <span class="p">${escape(operation['x-permission'] ?? '')}</span><br>${escape(operation.summary ?? '')}</summary>${
    parameters.length > 0 ? `<table>${parameters.join('')}</table>` : ''
  }${request ? `<p><b>Body</b></p><pre>${escape(shape(request))}</pre>` : ''}${answers.join('')}</details>`;
}

const DEPTH_MAX = 8;

/** An object as its fields, one a line; `?` marks optional ones. */
function shape(schema: Schema, indent = '', depth = 0): string {
  const item = schema.items;
  if (depth < DEPTH_MAX && item?.properties) return `[${shape(item, indent, depth + 1)}]`;
  if (depth >= DEPTH_MAX || !schema.properties) return typeText(schema);
  const required = new Set(schema.required);
  const lines = Object.entries(schema.properties).map(
    ([name, field]) => `${indent}  ${name}${required.has(name) ? '' : '?'}: ${shape(field, `${indent}  `, depth + 1)}`,
  );
  return `{\n${lines.join('\n')}\n${indent}}`;
}

function typeText(schema: Schema | undefined): string {
  if (!schema) return 'any';
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return either.map(typeText).join(' | ');
  const type = schema.items ? `${typeText(schema.items)}[]` : [schema.type ?? 'any'].flat().join(' | ');
  const format = schema.format ? ` (${schema.format})` : '';
  return schema.default === undefined ? `${type}${format}` : `${type}${format} = ${JSON.stringify(schema.default)}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
