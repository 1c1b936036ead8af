import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from '@jest/globals';
import { cleanUp, repositoryRoot, startService, startStack } from '@omg/testkit';
import { pathWithCurl } from './support/curl.js';

afterAll(cleanUp);

it('the guide "Keys and budgets" has commands that work as they are written, one after the other', async () => {
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
  const stack = await startStack({ upstreamUrl: `${provider.url}/v1`, config });
  const guide = readFileSync(join(repositoryRoot(), 'docs/guides/keys-and-budgets.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  expect(blocks).toHaveLength(3);
  const script = blocks.join('\necho\n').replaceAll('http://127.0.0.1:8081', stack.admin.url);
  const { stdout } = await promisify(execFile)('sh', ['-euc', script], { env: { ...process.env, PATH: pathWithCurl() } });
  expect(stdout).not.toContain('"error"');
  expect(stdout).toContain('"budget_usd":500');
  expect(stdout).toContain('"demo-embed"');
  expect(/"token":"(sk-[^"]+)"/.exec(stdout)).not.toBeNull();
}, 150_000);
