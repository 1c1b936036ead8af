import { describe, expect, it } from '@jest/globals';
import { downloadTarget } from './download-target.js';

const routes = [{ path: '/admin/usage/summary' }, { path: '/admin/tenants/:tenantId/api-keys/:keyId/usage' }];

describe('the address of a download', () => {
  it.each([
    ['/admin/usage/summary', '/admin/usage/summary?format=csv'],
    ['/admin/usage/summary?period=30d', '/admin/usage/summary?period=30d&format=csv'],
    ['/admin/usage/summary?format=csv&start=2026-03-01T00:00:00%2B02:00', '/admin/usage/summary?format=csv&start=2026-03-01T00:00:00%2B02:00'],
    ['/admin/usage/summary?timezone=Europe/Berlin#top', '/admin/usage/summary?timezone=Europe/Berlin&format=csv'],
    ['/admin/tenants/../usage/./summary', '/admin/usage/summary?format=csv'],
    ['/admin/tenants/a/api-keys/b/usage', '/admin/tenants/a/api-keys/b/usage?format=csv'],
  ])('of %s is %s', (path, target) => {
    expect(downloadTarget(path, routes)).toBe(target);
  });

  it.each([
    '',
    'admin/usage/summary',
    '/admin/users',
    '/admin/usage/summary/',
    '/admin/tenants//api-keys/b/usage',
    '//evil.example/admin/usage/summary',
    '/\\evil.example/admin/usage/summary',
    'https://evil.example/admin/usage/summary',
    'javascript:alert(1)',
    '/admin/usage/summary?format=json',
    '/admin/usage/summary?format=csv&format=json',
    '/admin/usage/summary?download_token=x',
  ])('is not made of %s', (path) => {
    expect(() => downloadTarget(path, routes)).toThrow(/^path: must/);
  });
});
