import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, documentedCommands, repositoryRoot, startService, startStack, type TestStack } from '@omg/testkit';
import { parse } from 'yaml';
import { pathWithCurl } from './support/curl.js';

afterAll(cleanUp);

interface DemoConfig {
  bootstrap: { tenants: unknown[]; admin_users: unknown[]; api_keys: unknown[] };
  model_catalog: unknown[];
}

describe('the README', () => {
  let stack: TestStack;

  beforeAll(async () => {
    const provider = await startService('demo-provider', { DEMO_STATIC: '1', DEMO_PROVIDER_API_KEY: 'demo-provider-key' });
    const demo = parse(readFileSync(join(repositoryRoot(), 'infra', 'dev', 'demo.router.yaml'), 'utf8')) as DemoConfig;
    // The test stack waits with a key of its own.
    demo.bootstrap.tenants.push({ name: 'test' });
    demo.bootstrap.api_keys.push({ tenant: 'test', prefix: 'test', secret: 'test-secret', name: 'Test key' });
    const config = { bootstrap: demo.bootstrap, model_catalog: demo.model_catalog };
    stack = await startStack({ upstreamUrl: `${provider.url}/v1`, config, env: { DEMO_PROVIDER_URL: `${provider.url}/v1` } });
  });

  it('has curls that work as they are written, one after the other', async () => {
    const blocks = documentedCommands(import.meta.filename, 'README.md');
    expect(blocks.length).toBeGreaterThanOrEqual(4);
    const script = blocks.map((block) => `echo '--- block'\n${block}`).join('\n');
    const here = script.replaceAll('http://127.0.0.1:8080', stack.edge.url).replaceAll('http://127.0.0.1:8081', stack.admin.url);
    const { stdout } = await promisify(execFile)('sh', ['-euc', here], { env: { ...process.env, PATH: pathWithCurl() } });
    const answers = stdout.split('--- block\n').slice(1);
    expect(answers).toHaveLength(blocks.length);
    for (const answer of answers) {
      expect(answer).not.toContain('"error"');
      expect(answer.trim()).not.toBe('');
    }
    expect(JSON.parse(answers[0]!)).toMatchObject({ object: 'chat.completion', model: 'demo-chat' });
    expect(answers[1]!.trim().endsWith('data: [DONE]')).toBe(true);
    expect(JSON.parse(answers[2]!)).toMatchObject({ object: 'list', usage: { prompt_tokens: 4 } });
    expect(answers[3]).toContain('"group":"model"');
  });
});
