import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { startAdminApp, type AdminAppFixture } from '../testing/admin-app.fixture.js';

/** What Chromium sends for an address that somebody opens. */
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8' };

let fixture: AdminAppFixture;
let root: string;

beforeAll(async () => {
  fixture = await startAdminApp();
  await fixture.user('root@example.com', { superAdmin: true });
  root = await fixture.signIn('root@example.com');
}, 60_000);
afterAll(async () => {
  await fixture?.close();
  await cleanUp();
});

const open = (path: string, headers: Record<string, string> = BROWSER) => fixture.call('GET', path, { headers });
const titleOf = (page: string): string | undefined => /<h1>(.*?)<\/h1>/.exec(page)?.[1];

describe('an address that a person opens in a browser', () => {
  it('leads from the root to the page of the API', async () => {
    for (const path of ['/', '/admin']) {
      const answer = await open(path);
      expect([path, answer.status, answer.headers['location']]).toEqual([path, 302, '/admin/docs']);
    }
    expect((await open('/admin/docs')).text).toMatch(/^<!doctype html>/);
  });

  it('says in plain words that a download link has ended, and to a program in JSON', async () => {
    const made = await fixture.call('POST', '/admin/downloads', { token: root, body: { path: '/admin/usage/summary' } });
    const altered = `${String(made.json.url)}x`;
    const page = await open(altered);
    expect([page.status, page.headers['content-type'], titleOf(page.text)]).toEqual([401, 'text/html; charset=utf-8', 'This download link has expired']);
    expect(page.text).toMatch(/for a minute/);
    for (const headers of [{ accept: '' }, { accept: '*/*' }, { accept: 'application/json, text/html' }, { accept: 'text/csv' }]) {
      const answer = await open(altered, headers);
      expect([answer.status, answer.json?.code]).toEqual([401, 'invalid_download_link']);
      expect(answer.headers['vary']).toBe('accept');
    }
    // The good link is a file for browsers too.
    expect((await open(made.json.url)).headers['content-type']).toBe('text/csv; charset=utf-8');
  });

  it('gets every other error as a page too, with the code that a helper asks for', async () => {
    const answers = await Promise.all(['/admin/users', '/admin/nothing', '/admin/usage/tenant/daily?format=csv&download_token=a'].map((path) => open(path)));
    expect(answers.map(({ status, text }) => [status, /<code>(.*?)<\/code>/.exec(text)?.[1]])).toEqual([
      [401, '401 unauthenticated'],
      [404, '404 not_found'],
      [401, '401 invalid_download_link'],
    ]);
  });

  it('shows how a sign-in ended, whatever the address says', async () => {
    const result = async (query: string) => {
      const answer = await open(`/admin/ui/auth/oidc/callback${query}`);
      return [answer.status, titleOf(answer.text)];
    };
    expect(await result('?status=success')).toEqual([200, 'You are signed in']);
    for (const query of ['?error=role_not_allowed', '?error=__proto__', '?error=%3Cscript%3E', '?status=success&error=invalid_state', ''])
      expect([query, await result(query)]).toEqual([query, [200, 'You are not signed in']]);
    expect((await open('/admin/ui/auth/oidc/callback?error=role_not_allowed')).text).toMatch(/None of your roles.*<code>role_not_allowed</s);
    expect((await open('/admin/ui/auth/oidc/callback?error=%3Cscript%3E')).text).not.toMatch(/script>/);
  });

  it('runs nothing, loads nothing and stands in no frame of another site', async () => {
    for (const path of ['/admin/docs', '/admin/users', '/admin/ui/auth/oidc/callback?error=x']) {
      const answer = await open(path);
      expect([path, answer.headers['content-security-policy']]).toEqual([path, expect.stringMatching(/^default-src 'none'; .*frame-ancestors 'none'$/)]);
      expect([path, answer.text.match(/<script|src=|@import|https?:/g)]).toEqual([path, null]);
    }
  });
});
