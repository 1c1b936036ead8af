import { afterAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startService, waitFor } from '@omg/testkit';

afterAll(cleanUp);

const ENCRYPTION_KEY = `k1:${Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0').toString('base64')}`;
/** Nobody listens there. */
const env = { ROUTER_NATS_URL: 'nats://127.0.0.1:9', ROUTER_SECRETS_ENCRYPTION_KEYS: ENCRYPTION_KEY, ROUTER_OBSERVABILITY_ENABLE_OTLP: 'true' };

describe('a service as a process', () => {
  it('lives without its dependencies, tells that it is not ready, and ends with 0 at SIGTERM', async () => {
    const app = await startService('health-monitor', env, { readyPath: '/healthz' });
    const ready = await fetch(`${app.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ status: 'degraded', checks: { nats: { status: 'error', error: 'closed' } } });
    const logged = (msg: string) => app.logs.filter((line) => line['msg'] === msg);
    await waitFor(() => logged('connection is lost').length > 0 && logged('listening').length > 0, { what: 'both lines in the log' });
    expect(logged('connection is lost')).toHaveLength(1);
    expect(logged('listening')).toMatchObject([{ port: app.port }]);
    app.signal('SIGTERM');
    expect(await app.exited).toContain('0');
    expect(app.logs.at(-1)).toMatchObject({ msg: 'stopped', failed: [] });
    expect(app.rawOutput).toEqual([]);
  });

  it('does not start with a broken configuration, and tells every problem once without a value', async () => {
    const secret = 'too-short-a-secret';
    const app = await startService(
      'health-monitor',
      { ...env, ROUTER_SECRETS_ENCRYPTION_KEYS: secret, ROUTER_HEALTH_CHECK_INTERVAL: 'often', ROUTER_NATS_URL: `http://${secret}@x` },
      { readyPath: null },
    );
    expect(await app.exited).toContain('1');
    await waitFor(() => app.rawOutput.length >= 4);
    const text = app.rawOutput.join('\n');
    for (const name of ['ROUTER_SECRETS_ENCRYPTION_KEYS', 'ROUTER_HEALTH_CHECK_INTERVAL', 'ROUTER_NATS_URL']) expect(text.split(name)).toHaveLength(2);
    expect(text + JSON.stringify(app.logs)).not.toContain(secret);
  });

  it.each(['edge-gateway', 'admin-api', 'usage-recorder', 'health-monitor'] as const)(
    '%s says in one line that its Node is too old, before any dependency runs',
    async (name) => {
      // An old version, on which every dependency throws as soon as it runs.
      const oldNode = `import { registerHooks } from 'node:module';
        Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });
        registerHooks({ load(url, context, next) {
          const loaded = next(url, context);
          if (!url.includes('/node_modules/') || !/^(module|commonjs)$/.test(loaded.format)) return loaded;
          return { ...loaded, source: 'throw new Error("a dependency ran");' + loaded.source };
        } });`;
      const app = await startService(name, { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(oldNode)}` }, { readyPath: null });
      expect(await app.exited).toContain('1');
      expect(app.logs).toEqual([]);
      expect(app.rawOutput).toEqual(['Node.js 24.9 or newer is needed; this is 20.20.2']);
    },
  );
});
