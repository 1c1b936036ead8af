import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  healthKey,
  incidentKey,
  routeHealthSchema,
  routeIncidentSchema,
  SUBJECTS,
  configKey,
  type RouteHealth,
  type RouteIncident,
  type RouteOutcome,
} from '@omg/contracts';
import { KeyRing, sealedContext } from '@omg/domain';
import { createLogger, loadConfig, startService, type RunningService as App } from '@omg/service-kit';
import { BUCKETS, connectNats, KvBucket, type NatsClient } from '@omg/storage';
import { cleanUp, startFakeUpstream, startNats, waitFor, type FakeUpstream, type RunningService } from '@omg/testkit';
import { Writable } from 'node:stream';
import { MonitorModule } from './app.module.js';
import { openMonitor, SECTIONS } from './open-monitor.js';

const KEY = `k1:${Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0').toString('base64')}`;
const silent = new Writable({ write: (_chunk, _encoding, done) => done() });

let nats: RunningService;
let client: NatsClient;
let upstream: FakeUpstream;
let config: KvBucket;
let health: KvBucket;
let incidents: KvBucket;
const apps: App[] = [];

beforeEach(async () => {
  nats = await startNats();
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, { object: 'list', data: [] }));
  client = connectNats({ url: nats.url }, { name: 'test' });
  await client.connected();
  [config, health, incidents] = [new KvBucket(client, BUCKETS.config), new KvBucket(client, BUCKETS.health), new KvBucket(client, BUCKETS.incidents)];
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await client.close();
  await upstream.close();
  await nats.kill();
});
afterAll(cleanUp);

async function startMonitor(): Promise<App> {
  const env = {
    ROUTER_NATS_URL: nats.url,
    ROUTER_SECRETS_ENCRYPTION_KEYS: KEY,
    ROUTER_HEALTH_CHECK_INTERVAL: '1s',
    ROUTER_HEALTH_PROBE_TIMEOUT: '10s',
    ROUTER_MONITOR_LEASE: '5s',
    ROUTER_MONITOR_LISTEN_ADDR: '127.0.0.1:0',
    ROUTER_SECURITY_UPSTREAM_ALLOWLIST: '127.0.0.1',
  };
  const loaded = loadConfig({ sections: SECTIONS, exceptSecrets: ['secrets.api_key_pepper'], env, cwd: '/nonexistent' });
  const app = await startService(
    {
      name: 'health-monitor',
      sections: SECTIONS,
      listenAddr: (c) => c.monitor.listenAddr,
      start: (context) => (openMonitor(context), { module: MonitorModule }),
    },
    { config: loaded.config, logger: createLogger({ service: 'health-monitor', destination: silent }) },
  );
  apps.push(app);
  return app;
}

async function putModel(alias: string, routeId: string, more: Record<string, unknown> = {}) {
  const sealed = { api_key: new KeyRing([KEY]).seal('upstream-key', sealedContext.routeSetting('api_key', routeId)) };
  const route = {
    id: routeId,
    provider: 'openai-compatible',
    providerModel: 'm',
    deployment: 'm',
    modelType: 'llm',
    modalities: ['text'],
    supportsTools: false,
    contextWindow: 0,
    maxOutputTokens: 0,
    weight: 100,
    enabled: true,
    settings: { base_url: `${upstream.origin}/v1` },
    sealed,
    ...more,
  };
  await config.put(configKey.model(alias), JSON.stringify({ v: 1, alias, createdUnix: 1, routes: [route] }));
}

async function stateOf(routeId: string): Promise<RouteHealth | undefined> {
  const entry = await health.get(healthKey(routeId));
  return entry && routeHealthSchema.parse(JSON.parse(entry.value));
}
const reaches = (routeId: string, state: RouteHealth['state']) =>
  waitFor(async () => (await stateOf(routeId))?.state === state, { what: `${routeId} to be ${state}` });
async function incidentsOf(routeId: string): Promise<RouteIncident[]> {
  return [...(await incidents.entries()).values()]
    .map(({ value }) => routeIncidentSchema.parse(JSON.parse(value)))
    .filter((incident) => incident.routeId === routeId);
}
const say = (outcome: Partial<RouteOutcome['routes'][number]>) =>
  client.current!.publish(
    SUBJECTS.routeOutcome,
    JSON.stringify({
      v: 1,
      edgeId: 'edge-1',
      atMs: 1,
      routes: [{ routeId: 'r1', successes: 0, failures: 0, consecutiveFailures: 0, breaker: 'closed', latencyMsSum: 0, ...outcome }],
    } satisfies RouteOutcome),
  );

describe('the health monitor', () => {
  it('probes with the opened secret, follows a route down and back, and keeps the incident', async () => {
    await putModel('gpt', 'r1');
    const app = await startMonitor();
    await reaches('r1', 'healthy');
    expect(upstream.requests[0]).toMatchObject({ method: 'GET', path: '/v1/models' });
    expect(upstream.requests[0]!.headers['authorization']).toBe('Bearer upstream-key');
    const state = (await stateOf('r1'))!;
    expect(state.validUntilMs - state.checkedAtMs).toBe(15_000);

    upstream.script((exchange) => exchange.respond(500, 'boom'));
    await reaches('r1', 'down');
    expect(await stateOf('r1')).toMatchObject({ reason: 'server_error' });
    upstream.script((exchange) => exchange.respond(200, { object: 'list', data: [] }));
    await reaches('r1', 'healthy');
    await waitFor(async () => (await incidentsOf('r1'))[0]?.endedAtMs !== undefined);
    expect(await incidentsOf('r1')).toEqual([expect.objectContaining({ state: 'down', reason: 'server_error', alias: 'gpt', provider: 'openai-compatible' })]);
    const metrics = await (await fetch(`http://127.0.0.1:${app.port}/metrics`)).text();
    expect(metrics).toContain('open_model_gateway_route_state{route="r1",model="gpt",provider="openai-compatible"} 0');
    expect(metrics).toMatch(/open_model_gateway_health_probes_total\{provider="openai-compatible",outcome="failed"\} \d/);
  });

  it('does not call a route healthy while an edge has its breaker open, though its probes succeed', async () => {
    await putModel('gpt', 'r1');
    await startMonitor();
    await reaches('r1', 'healthy');
    say({ failures: 3, consecutiveFailures: 3, breaker: 'open', lastError: 'timeout' });
    await reaches('r1', 'degraded');
    const probesBefore = upstream.requests.length;
    await waitFor(() => upstream.requests.length >= probesBefore + 2);
    expect(await stateOf('r1')).toMatchObject({ state: 'degraded', reason: 'timeout' });
    say({ successes: 1 });
    await reaches('r1', 'healthy');
  });

  it('stops probing a disabled route at once and takes its state away; a removed key of the ring is a misconfigured route', async () => {
    await putModel('gpt', 'r1');
    await startMonitor();
    await reaches('r1', 'healthy');
    await putModel('gpt', 'r1', { enabled: false });
    await waitFor(async () => (await stateOf('r1')) === undefined);
    await putModel('bad', 'r2', { sealed: { api_key: 'v1:other:AAAA' } });
    await waitFor(async () => (await stateOf('r2'))?.reason === 'misconfigured');
  });

  it('has one prober among replicas; another takes over when it ends', async () => {
    await putModel('gpt', 'r1');
    const [first, second] = [await startMonitor(), await startMonitor()];
    await reaches('r1', 'healthy');
    const leader = async (app: App) => (await (await fetch(`http://127.0.0.1:${app.port}/metrics`)).text()).includes('open_model_gateway_health_leader 1');
    const leaders = async () => [await leader(first), await leader(second)];
    await waitFor(async () => (await leaders()).includes(true), { what: 'a leader' });
    expect(await leaders()).toContain(false);
    const active = (await leader(first)) ? first : second;
    const other = active === first ? second : first;
    await active.close();
    apps.splice(apps.indexOf(active), 1);
    await waitFor(() => leader(other));
    const before = upstream.requests.length;
    await waitFor(() => upstream.requests.length > before);
  });

  it('ends the incident that a prober left open of a route which went before the next one came', async () => {
    const left: RouteIncident = {
      v: 1,
      id: '01a206e8-4fdd-78e1-a685-493947454d69',
      routeId: 'gone',
      alias: 'gpt',
      provider: 'openai-compatible',
      state: 'down',
      startedAtMs: 1,
    };
    await incidents.put(incidentKey('gone', left.id), JSON.stringify(left));
    await incidents.put(incidentKey('r1', left.id), JSON.stringify({ ...left, routeId: 'r1' }));
    await putModel('gpt', 'r1');
    upstream.script((exchange) => exchange.respond(500, 'boom'));
    const app = await startMonitor();
    await waitFor(async () => (await incidentsOf('gone'))[0]?.endedAtMs !== undefined, { what: 'the incident of the route that is gone to end' });
    expect((await incidentsOf('r1'))[0]!.endedAtMs).toBeUndefined();
    const metrics = await (await fetch(`http://127.0.0.1:${app.port}/metrics`)).text();
    expect(metrics).toContain('open_model_gateway_route_incidents_open 1');
  });

  it('starts while NATS is away, is live and not ready, and works once NATS is there', async () => {
    const port = Number(new URL(nats.url).port);
    await nats.kill();
    const app = await startMonitor();
    expect((await fetch(`http://127.0.0.1:${app.port}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${app.port}/readyz`)).status).toBe(503);
    nats = await startNats({ port });
    await waitFor(async () => (await fetch(`http://127.0.0.1:${app.port}/readyz`)).status === 200);
    await waitFor(() => client.isConnected);
    await putModel('gpt', 'r1');
    await reaches('r1', 'healthy');
  });
});
