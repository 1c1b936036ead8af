import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { adminErrorSchema, DOWNLOAD_TOKEN_PARAM } from '@omg/contracts';
import { z } from 'zod';
import * as tokens from '../http/tokens.js';

@Module({})
class NoResourcesModule {}

/**
 * The OpenAPI 3.1 document of the admin API, made from the same zod schemas that check its requests. Nest's preview mode
 * reads the routes without building what stands behind them: what the app opens at its start only has to be named.
 */
export async function buildOpenapiDocument(module: Type<unknown>): Promise<OpenAPIObject> {
  const names = Object.values(tokens);
  const resources = { module: NoResourcesModule, global: true, providers: names.map((provide) => ({ provide, useValue: null })), exports: names };
  const app = await NestFactory.create({ module, imports: [resources] }, new FastifyAdapter(), { preview: true, logger: false, abortOnError: false });
  await app.init();
  const base = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Open Model Gateway admin API')
    .setDescription(
      'Tenants, keys, models, budgets, people and reports. Answers to errors are `{"error": text, "code": slug}`. Unknown fields of a body are ignored, unknown query parameters are a 400. ' +
        '`x-permission` names who may call an operation: `any:<role>` a role in some organization, `tenant:<role>` a role in the tenant of the path; super admins may call everything. ' +
        'What has a version says it in `ETag` or `version`; a change that names another one in `If-Match` answers 409 `version_conflict` and changes nothing ' +
        '(`"0"`: what does not exist yet). What only makes, ends, adds or tests something takes no `If-Match`.',
    )
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An access token from `POST /admin/auth/login`, or an admin API token (`oat_...`).' })
    .addApiKey({ type: 'apiKey', in: 'query', name: DOWNLOAD_TOKEN_PARAM, description: 'Of a link from `POST /admin/downloads`.' }, 'downloadLink')
    .build();
  const document = SwaggerModule.createDocument(app, base, {
    standardSchemaConverter: toJsonSchema as never,
    operationIdFactory: (controller, method) => `${lowerFirst(controller.replace(/Controller$/, ''))}_${method}`,
  });
  await app.close();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const operation of Object.values(item as Record<string, Operation>)) finish(operation, tagOf(path));
  }
  document.tags = TAGS.map(([name]) => ({ name }));
  return sorted(document);
}

/** What people look for, in the order in which they need it; the first pattern that fits a path decides. */
const TAGS: readonly (readonly [name: string, path: RegExp])[] = [
  ['Signing in', /^\/admin\/auth\//],
  ['API keys', /api-keys/],
  ['People', /^\/admin\/users|memberships/],
  ['Budgets', /budget/],
  ['Tenants', /^\/admin\/tenants/],
  ['Models and routes', /^\/admin\/(model-catalog|routing|providers)/],
  ['Reports', /usage|downloads/],
  ['Settings', /^\/admin\/settings/],
  ['Audit log', /^\/admin\/audit/],
  ['Admin tokens', /^\/admin\/tokens/],
];

function tagOf(path: string): string {
  // Reports of keys are reports first.
  if (/\/usage(\/|$)/.test(path)) return 'Reports';
  const found = TAGS.find(([, pattern]) => pattern.test(path));
  if (!found) throw new Error(`${path} belongs to no group of the document`);
  return found[0];
}

interface Operation {
  tags?: string[];
  operationId?: string;
  responses?: Record<string, { description: string; content?: Record<string, unknown> }>;
  security?: unknown[];
  parameters?: { in: string; name: string; required?: boolean }[];
  'x-csv'?: boolean;
  'x-permission'?: string;
}

/** JSON Schema as OpenAPI 3.1 has it. zod's patterns for formats say nothing that the format does not, and fill pages. */
function toJsonSchema(schema: z.ZodType, { schemaType }: { schemaType: 'input' | 'output' }): { schema: object } {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, {
    io: schemaType,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // zod leaves defaults out where the input is transformed; that a parameter has one is what readers look for.
      const { def } = zodSchema._zod;
      if (def.type === 'default' && typeof def.defaultValue !== 'object') jsonSchema.default = def.defaultValue as string | number | boolean;
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      // Readers must expect new fields.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return { schema: converted };
}

function finish(operation: Operation, tag: string): void {
  operation.tags = [tag];
  const responses = (operation.responses ??= {});
  // Named parameters are shown as required whatever their schema says, and no header but Authorization is.
  for (const parameter of operation.parameters ?? []) if (parameter.in === 'header') parameter.required = false;
  const isCsv = operation['x-csv'] ?? false;
  if (isCsv) {
    for (const response of Object.values(responses)) if (response.content) response.content['text/csv'] = { schema: { type: 'string' } };
  }
  delete operation['x-csv'];
  responses['default'] = {
    description: 'An error.',
    content: { 'application/json': { schema: toJsonSchema(adminErrorSchema, { schemaType: 'output' }).schema } },
  };
  operation.security = operation['x-permission'] === 'public' ? [] : [{ bearer: [] }, ...(isCsv ? [{ downloadLink: [] }] : [])];
}

/** Paths in order, so that the committed document changes only where the API does. */
function sorted(document: OpenAPIObject): OpenAPIObject {
  const paths = Object.fromEntries(Object.entries(document.paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  // Plain JSON: what is committed and served is exactly this.
  return JSON.parse(JSON.stringify({ ...document, paths })) as OpenAPIObject;
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
