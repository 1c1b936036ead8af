import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, documentedCommands, repositoryRoot, startService, startStack, type TestStack } from '@omg/testkit';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pathWithCurl } from './support/curl.js';

/** The guides' commands as they are written, one after the other; only addresses and names of files are this test's own. */

let stack: TestStack;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'omg-guides-'));
  const provider = await startService('demo-provider', { DEMO_STATIC: '1' });
  const model = (alias: string) => ({
    alias,
    provider: 'openai-compatible',
    provider_model: alias,
    endpoint: `${provider.url}/v1`,
    api_key: 'demo-provider-key',
  });
  const config = {
    bootstrap: {
      tenants: [{ name: 'test' }],
      admin_users: [{ email: 'admin@example.com', name: 'Admin', password: 'demo-admin-password' }],
      // The test stack waits with a key of its own.
      api_keys: [{ tenant: 'test', prefix: 'test', secret: 'test-secret', name: 'Test key' }],
    },
    model_catalog: [model('demo-chat'), model('demo-embed')],
  };
  stack = await startStack({ upstreamUrl: `${provider.url}/v1`, config });
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cleanUp();
});

function run(script: string): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)('sh', ['-euc', script.replaceAll('http://127.0.0.1:8081', stack.admin.url)], {
    cwd: repositoryRoot(),
    env: { ...process.env, PATH: pathWithCurl() },
  });
}

it('"Keys and budgets" makes a tenant with a budget, limits, models and a key', async () => {
  const { stdout } = await run(documentedCommands(import.meta.filename, 'docs/guides/keys-and-budgets.md').join('\necho\n'));
  expect(stdout).not.toContain('"error"');
  expect(stdout).toContain('"budget_usd":500');
  expect(stdout).toContain('"demo-embed"');
  expect(/"token":"(sk-[^"]+)"/.exec(stdout)).not.toBeNull();
});

it('"Sign in" does daily tasks from the command line with a token', async () => {
  const post = async (path: string, body: object, token?: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`${stack.admin.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const { access_token: session } = await post('/admin/auth/login', { email: 'admin@example.com', password: 'demo-admin-password' });
  const { token } = await post('/admin/tokens', { name: 'guide' }, String(session));
  const [commands] = documentedCommands(import.meta.filename, 'docs/guides/sign-in.md');
  const { stdout } = await run(commands!.replace('oat_...', String(token)));
  expect(stdout).toContain('acme');
  expect(stdout).toMatch(/sk-\w+\./);
  expect(stdout).toContain('demo-chat');
});

it('"Migrating from LiteLLM" turns its configuration into the one that the page shows, with the remarks that it shows', async () => {
  const page = readFileSync(join(repositoryRoot(), 'docs/guides/migrating-from-litellm.md'), 'utf8');
  const [before, after] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  const remarks = [...page.matchAll(/^omg: .+$/gm)].map((match) => match[0]);
  const files = { 'config.yaml': join(folder, 'config.yaml'), 'router.yaml': join(folder, 'router.yaml') };
  writeFileSync(files['config.yaml'], before!);
  const [commands] = documentedCommands(import.meta.filename, 'docs/guides/migrating-from-litellm.md');
  const { stderr } = await run(commands!.replaceAll('config.yaml', files['config.yaml']).replaceAll('router.yaml', files['router.yaml']));
  const written = readFileSync(files['router.yaml'], 'utf8');
  expect(written.replace(/^#.*\n/, '')).toBe(after);
  expect(remarks.length).toBeGreaterThan(0);
  for (const remark of remarks) expect(stderr).toContain(remark);
});
