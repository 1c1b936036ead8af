import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@omg/dev';
import { cleanUp, createTestDatabase, createTestRedis, startNats, temporaryFolder, waitFor } from '@omg/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { configOf, containerOf, startContainer, type Container } from './from-manifest.test-helper.js';
import { render, type Manifest } from './helm.js';

/** Entries of the Secret that an operator would have made. */
let secret: Record<string, string>;
let manifests: Manifest[];
let folder: string;

beforeAll(async () => {
  const [database, redis, nats] = await Promise.all([createTestDatabase(), createTestRedis(), startNats()]);
  secret = {
    'database-url': database.url,
    'redis-url': redis.url,
    'nats-url': nats.url,
    'api-key-pepper': 'b7e2c9a4d1f05836927e4c8b1a6d3f50',
    'encryption-keys': 'k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    'jwt-secret': '5d1c7e9f3b8a2460c4d6e8f0a1b2c3d4',
  };
  manifests = render({ 'secrets.existingSecret': 'gateway-secrets' });
  folder = temporaryFolder();
  const config = configOf(manifests);
  // All that differs from the pods: this machine has no volume at /var/spool, and one network for all of them.
  config['metering']['spool_directory'] = join(folder, 'spool');
  expect(config['observability']['metrics_listen_addr']).toBe(':9464');
  config['observability']['metrics_listen_addr'] = '127.0.0.1:0';
  writeFileSync(join(folder, 'router.yaml'), stringify(config));
});

afterAll(cleanUp);

const start = (container: Container, workingFolder: string, change: Record<string, string>) =>
  startContainer(container, { workingFolder, configFile: join(folder, 'router.yaml'), secret, change });

describe('the rendered manifests start the real services', () => {
  it('the migration Job ends well', async () => {
    const job = await start(containerOf(manifests, 'Job', 'migrate'), 'prisma', {});
    expect(await job.exited).toBe('exit code 0');
  });

  it.each(['edge-gateway', 'admin-api', 'usage-recorder', 'health-monitor'])('%s answers its probes', async (component) => {
    const container = containerOf(manifests, 'Deployment', component);
    const port = await freePort();
    const service = await start(container, join('apps', component), { PORT: String(port) });
    const probe = async (path: string): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}${path}`)).ok;
    await waitFor(() => probe(container.startupProbe.httpGet.path), { what: `${component} to live` });
    // The edge is ready once the admin API has written the configuration: it was started after it here, and waits.
    if (component !== 'edge-gateway') await waitFor(() => probe(container.readinessProbe.httpGet.path), { what: `${component} to be ready` });
    expect(service.child.exitCode).toBeNull();
  });
});
