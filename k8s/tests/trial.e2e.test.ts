import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@omg/dev';
import { cleanUp, createTestDatabase, createTestRedis, startNats, temporaryFolder, waitFor } from '@omg/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { configOf, containerOf, startContainer } from './from-manifest.test-helper.js';
import { render } from './helm.js';

/** What `helm install --set trial.enabled=true` renders, without any other value, runs here on this machine's stores. */
let edgeUrl: string;
let adminUrl: string;
let secret: Record<string, string>;

beforeAll(async () => {
  const manifests = render({ 'trial.enabled': 'true' });
  const [database, redis, nats] = await Promise.all([createTestDatabase(), createTestRedis(), startNats()]);
  const rendered = manifests.find((manifest) => manifest.kind === 'Secret')!['stringData'] as Record<string, string>;
  secret = { ...rendered, 'database-url': database.url, 'redis-url': redis.url, 'nats-url': nats.url };
  const ports = { demo: await freePort(), edge: await freePort(), admin: await freePort() };
  const config = configOf(manifests);
  const folder = temporaryFolder();
  // What a cluster has and this machine has not: a volume, and names of services.
  config['metering']['spool_directory'] = join(folder, 'spool');
  config['observability']['metrics_listen_addr'] = '127.0.0.1:0';
  config['model_catalog'][0].endpoint = `http://127.0.0.1:${ports.demo}/v1`;
  config['security']['upstream_allowlist'] = ['127.0.0.1'];
  const configFile = join(folder, 'router.yaml');
  writeFileSync(configFile, stringify(config));
  const start = (component: string, port: number) =>
    startContainer(containerOf(manifests, 'Deployment', component), {
      workingFolder: join('apps', component),
      configFile,
      secret,
      change: { PORT: String(port) },
    });
  await Promise.all([start('demo-provider', ports.demo), start('admin-api', ports.admin), start('edge-gateway', ports.edge)]);
  edgeUrl = `http://127.0.0.1:${ports.edge}`;
  adminUrl = `http://127.0.0.1:${ports.admin}`;
  const ready = async (url: string): Promise<boolean> => (await fetch(`${url}/readyz`)).ok;
  await waitFor(() => ready(adminUrl), { what: 'the admin API to be ready' });
  await waitFor(() => ready(edgeUrl), { what: 'the edge to be ready' });
});

afterAll(cleanUp);

describe('a trial of the chart', () => {
  it('answers a chat with the key that its notes tell', async () => {
    const ask = async (): Promise<Response> =>
      fetch(`${edgeUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret['trial-key']}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hello!' }] }),
      });
    await waitFor(async () => (await ask()).ok, { what: 'the route to be known' });
    expect(await (await ask()).json()).toMatchObject({ object: 'chat.completion', model: 'demo-chat', usage: { prompt_tokens: 6 } });
  });

  it('lets the administrator in with the password of its Secret', async () => {
    const login = await fetch(`${adminUrl}/admin/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'admin@trial.local', password: secret['trial-admin-password'] }),
    });
    expect(login.status).toBe(200);
  });
});
