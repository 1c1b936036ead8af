import type { OpenAPIObject } from '@nestjs/swagger';
import { ADMIN_ERRORS } from '@omg/contracts';
import { escapeHtml, renderPage } from '../http/page.js';

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
  const anchor = (name: string): string => escapeHtml(name.toLowerCase().replaceAll(' ', '-'));
  const menu = sections.map(([name]) => `<a href="#${anchor(name)}">${escapeHtml(name)}</a>`).join('');
  const body = sections.map(([name, parts]) => `<h2 id="${anchor(name)}">${escapeHtml(name)}</h2>${parts.join('')}`).join('');
  const { title, description = '' } = document.info;
  const nav = `<nav>${menu}<a href="openapi.json">OpenAPI ${escapeHtml(document.openapi)}</a></nav>`;
  const intro = `<h1>${escapeHtml(title)}</h1><p>${prose(description)}</p><pre>${escapeHtml(CALL)}</pre>`;
  return renderPage({ title, body: `${nav}<main>${intro}${body}</main>`, style: STYLE });
}

const CALL = `TOKEN=...   # access_token of POST /admin/auth/login, or an admin API token
curl "$ADMIN_URL/admin/usage/summary?period=30d" -H "Authorization: Bearer $TOKEN"`;

/** Text with `code` in backticks. */
function prose(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `<code>${escapeHtml(part)}</code>` : escapeHtml(part)))
    .join('');
}

function renderErrors(): string {
  const rows = Object.entries(ADMIN_ERRORS).map(
    ([code, { status, message }]) => `<tr><td>${status}</td><td><code>${escapeHtml(code)}</code></td><td>${escapeHtml(message)}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}

interface Operation {
  operationId?: string;
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
html{scroll-padding-top:1rem}
body{display:flex}
nav{position:sticky;top:0;height:100vh;overflow:auto;flex:0 0 13rem;padding:2rem 1rem 2rem 1.5rem;border-right:1px solid var(--line);display:flex;flex-direction:column;gap:.35rem}
main{flex:1;min-width:0;max-width:64rem;padding:1rem 2rem 4rem}
h1{font-size:1.7rem}h2{margin:2.2rem 0 .6rem}
pre{background:var(--box);padding:.6rem .8rem;overflow:auto;border-radius:6px;margin:.3rem 0}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0}
details>div{padding:0 .9rem .8rem}
summary{cursor:pointer;padding:.5rem .9rem;display:grid;grid-template-columns:4.6rem 1fr auto auto;gap:.1rem .4rem;align-items:baseline;list-style:none}
summary::-webkit-details-marker{display:none}
summary::after{content:"\\203A";grid-row:1;grid-column:4;color:var(--dim);padding-left:.5rem}details[open]>summary::after{transform:rotate(90deg);transform-origin:75% 55%}
.l{opacity:0;padding-left:.4rem}summary:hover .l,.l:focus{opacity:1}
summary code{overflow-wrap:anywhere}
.m{font:700 12px ui-monospace,monospace;color:#fff;border-radius:4px;padding:.1rem 0;width:4.2rem;text-align:center;background:#475569}
.get{background:#1d6fb8}.post{background:#15803d}.put,.patch{background:#a16207}.delete{background:#b91c1c}
.s{grid-column:2;color:var(--dim)}.p{color:var(--dim);font:12px ui-monospace,monospace}
table{border-collapse:collapse}td{padding:.15rem 1rem .15rem 0;vertical-align:top}
h3{font-size:.95rem;margin:.9rem 0 .2rem}
@media (max-width:50rem){body{display:block}nav{position:static;height:auto;flex-direction:row;flex-wrap:wrap;gap:.3rem .9rem;padding:1rem;border-right:0;border-bottom:1px solid var(--line)}main{padding:.5rem 1rem 3rem}summary{grid-template-columns:4.6rem 1fr auto}summary::after{grid-column:3}.p{grid-column:2}}
`;

function renderOperation(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    (parameter) =>
      `<tr><td><code>${escapeHtml(parameter.name)}</code></td><td>${parameter.in}${parameter.required ? ', required' : ''}</td><td><code>${escapeHtml(typeText(parameter.schema))}</code></td></tr>`,
  );
  const request = operation.requestBody?.content?.['application/json']?.schema;
  const answers = Object.entries(operation.responses ?? {})
    .filter(([status]) => status !== 'default')
    .map(([status, response]) => {
      const schema = response.content?.['application/json']?.schema;
      const kinds = Object.keys(response.content ?? {}).join(', ');
      return `<h3>${escapeHtml(status)} ${escapeHtml(kinds)}</h3>${schema ? `<pre>${escapeHtml(shape(schema))}</pre>` : ''}`;
    });
  // The target is inside, so that a browser which follows the link opens the operation.
  const id = escapeHtml(operation.operationId ?? '');
  const link = `<a class="l" href="#${id}" title="Link to this operation">#</a>`;
  const head = `<span class="m ${method}">${method.toUpperCase()}</span><code>${escapeHtml(path)}${link}</code><span class="p">${escapeHtml(operation['x-permission'] ?? '')}</span><span class="s">${prose(operation.summary ?? '')}</span>`;
  const asked = parameters.length > 0 ? `<h3>Parameters</h3><table>${parameters.join('')}</table>` : '';
  const sent = request ? `<h3>Body</h3><pre>${escapeHtml(shape(request))}</pre>` : '';
  return `<details><summary>${head}</summary><div id="${id}">${asked}${sent}${answers.join('')}</div></details>`;
}

const DEPTH_MAX = 8;

/** An object as its fields, one a line; `?` marks optional ones. */
function shape(schema: Schema, indent = '', depth = 0): string {
  // What may be null is an object all the same, and its fields are what readers look for.
  const [only, ...more] = (schema.anyOf ?? schema.oneOf ?? []).filter(({ type }) => type !== 'null');
  if (only?.properties && more.length === 0) return `${shape(only, indent, depth)} | null`;
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
