import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import { readFileSync } from 'node:fs';
import { buildAppDocument } from './app-document.js';
import { renderDocsPage } from './docs-page.js';

let document: OpenAPIObject;
beforeAll(async () => {
  document = await buildAppDocument();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, any>).map(([method, operation]) => ({ path, method, operation })),
  );

describe('the OpenAPI document', () => {
  it('is the committed one (after a change: pnpm build, then pnpm --filter @omg/admin-api openapi)', () => {
    const committed = JSON.parse(readFileSync(new URL('../../../../docs/reference/admin-openapi.json', import.meta.url), 'utf8')) as unknown;
    expect(document).toEqual(committed);
  });

  it('describes every operation: 3.1, unique ids, a permission, a good answer, the error form', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(operations().length).toBeGreaterThan(25);
    expect(new Set(operations().map(({ operation }) => operation.operationId)).size).toBe(operations().length);
    for (const { path, method, operation } of operations()) {
      expect([method, path, typeof operation['x-permission'], typeof operation.summary]).toEqual([method, path, 'string', 'string']);
      expect([method, path, Object.keys(operation.responses).some((status) => /^[23]/.test(status)), 'default' in operation.responses]).toEqual([
        method,
        path,
        true,
        true,
      ]);
      const isCsv = Object.values<any>(operation.responses).some(({ content }) => content?.['text/csv']);
      expect(operation.security).toEqual(operation['x-permission'] === 'public' ? [] : [{ bearer: [] }, ...(isCsv ? [{ downloadLink: [] }] : [])]);
    }
  });

  it('marks a query parameter as required only when its schema demands it', () => {
    const parameters = (path: string) => (document.paths[path] as any).get.parameters as { name: string; in: string; required: boolean }[];
    expect(parameters('/admin/usage/summary').every(({ required }) => !required)).toBe(true);
    expect(
      parameters('/admin/usage/tenant/daily')
        .filter(({ required }) => required)
        .map(({ name }) => name),
    ).toEqual(['tenant_id']);
  });

  it('has a page that loads nothing and shows every path', () => {
    const page = renderDocsPage(document);
    expect(page).not.toMatch(/<script|src=|@import|https?:\/\/(?!localhost)/);
    for (const path of Object.keys(document.paths)) expect(page).toContain(path);
  });

  it('has a page that shows the fields of what may be null, and a link to each operation', () => {
    const page = renderDocsPage(document);
    expect(page).toContain('\n  quota?: {\n    budget_usd?: number');
    expect(page).not.toMatch(/: object \| null/);
    for (const { operation } of operations()) {
      expect(page).toContain(`href="#${operation.operationId}"`);
      expect(page).toContain(`id="${operation.operationId}"`);
    }
  });
});
