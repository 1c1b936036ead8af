import type { OpenAPIObject } from '@nestjs/swagger';
import { ADMIN_ERRORS } from '@omg/contracts';

/** A readable page of the OpenAPI document: one static file without scripts, so nothing is loaded from elsewhere. */
export function renderDocsPage(document: OpenAPIObject): string {
  const groups = new Map<string, string[]>((document.tags ?? []).map(({ name }) => [name, []]));
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item as Record<string, Operation>)) {
      const tag = operation.tags?.[0] ?? 'Other';
      groups.set(tag, [...(groups.get(tag) ?? []), renderOperation(method, path, operation)]);
    }
  }
  const sections = [...groups, ['Errors', [renderErrors()]] as const];
  const anchor = (name: string): string => escape(name.toLowerCase().replaceAll(' ', '-'));
  const menu = sections.map(([name]) => `<a href="#${anchor(name)}">${escape(name)}</a>`).join('');
  const body = sections.map(([name, parts]) => `<h2 id="${anchor(name)}">${escape(name)}</h2>${parts.join('')}`).join('');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(document.info.title)}</title><style>${STYLE}</style></head>
<body><nav>${menu}<a href="openapi.json">OpenAPI ${escape(document.openapi)}</a></nav><main><h1>${escape(document.info.title)}</h1><p>${prose(document.info.description ?? '')}</p>${body}</main></body></html>`;
}

/** Text with `code` in backticks. */
function prose(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `<code>${escape(part)}</code>` : escape(part)))
    .join('');
}

function renderErrors(): string {
  const rows = Object.entries(ADMIN_ERRORS).map(
    ([code, { status, message }]) => `<tr><td>${status}</td><td><code>${escape(code)}</code></td><td>${escape(message)}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
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
  minimum?: number;
  maximum?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  additionalProperties?: Schema | boolean;
}

const STYLE = `
:root{--ink:#1b1b1f;--dim:#5c5f6a;--paper:#fff;--box:#f5f5f8;--line:#dcdce3;--link:#1d4ed8;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6ea;--dim:#a2a5b1;--paper:#16161a;--box:#212128;--line:#3a3a44;--link:#8ab4ff}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--paper);display:flex}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
nav{position:sticky;top:0;height:100vh;overflow:auto;flex:0 0 13rem;padding:2rem 1rem 2rem 1.5rem;border-right:1px solid var(--line);display:flex;flex-direction:column;gap:.35rem}
main{flex:1;min-width:0;max-width:64rem;padding:1rem 2rem 4rem}
h1{font-size:1.7rem}h2{margin:2.2rem 0 .6rem}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:var(--box);padding:.6rem .8rem;overflow:auto;border-radius:6px;margin:.3rem 0}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0}
details>div{padding:0 .9rem .8rem}
summary{cursor:pointer;padding:.5rem .9rem;display:grid;grid-template-columns:4.6rem 1fr auto;gap:.1rem .4rem;align-items:baseline;list-style:none}
summary::-webkit-details-marker{display:none}
summary code{overflow-wrap:anywhere}
.m{font:700 12px ui-monospace,monospace;color:#fff;border-radius:4px;padding:.1rem 0;width:4.2rem;text-align:center;background:#475569}
.get{background:#1d6fb8}.post{background:#15803d}.put,.patch{background:#a16207}.delete{background:#b91c1c}
.s{grid-column:2;color:var(--dim)}.p{color:var(--dim);font:12px ui-monospace,monospace}
table{border-collapse:collapse}td{padding:.15rem 1rem .15rem 0;vertical-align:top}
h3{font-size:.95rem;margin:.9rem 0 .2rem}
@media (max-width:50rem){body{display:block}nav{position:static;height:auto;flex-direction:row;flex-wrap:wrap;gap:.3rem .9rem;padding:1rem;border-right:0;border-bottom:1px solid var(--line)}main{padding:.5rem 1rem 3rem}summary{grid-template-columns:4.6rem 1fr}.p{grid-column:2}}
`.replaceAll('\n', '');

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
      return `<h3>${escape(status)} ${escape(kinds)}</h3>${schema ? `<pre>${escape(shape(schema))}</pre>` : ''}`;
    });
  const head = `<span class="m ${method}">${method.toUpperCase()}</span><code>${escape(path)}</code><span class="p">${escape(operation['x-permission'] ?? '')}</span><span class="s">${prose(operation.summary ?? '')}</span>`;
  const asked = parameters.length > 0 ? `<h3>Parameters</h3><table>${parameters.join('')}</table>` : '';
  const sent = request ? `<h3>Body</h3><pre>${escape(shape(request))}</pre>` : '';
  return `<details><summary>${head}</summary><div>${asked}${sent}${answers.join('')}</div></details>`;
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
  const type = schema.items ? listText(typeText(schema.items)) : [schema.type ?? 'any'].flat().join(' | ');
  const notes = [schema.format, boundsText(schema)].filter((note) => note !== undefined).join(', ');
  const format = notes ? ` (${notes})` : '';
  return schema.default === undefined ? `${type}${format}` : `${type}${format} = ${JSON.stringify(schema.default)}`;
}

const listText = (item: string): string => (item.includes(' | ') ? `(${item})[]` : `${item}[]`);

function boundsText({ minimum, maximum }: Schema): string | undefined {
  if (minimum === undefined && maximum === undefined) return undefined;
  if (maximum === undefined) return `from ${minimum}`;
  return minimum === undefined ? `to ${maximum}` : `${minimum} to ${maximum}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
