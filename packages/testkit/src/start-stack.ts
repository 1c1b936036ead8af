import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './temporary-folder.js';
import { createTestDatabase } from './database.js';
import { createTestRedis } from './redis.js';
import { startNats, startPostgres, startRedis, type OwnService } from './services.js';
import { startService, type RunningApp } from './start-service.js';
import { waitFor } from './wait-for.js';

/** The credentials that every test stack knows. */
export const TEST_KEY = 'sk-test.test-secret';
export const TEST_ADMIN = { email: 'admin@test.example', password: 'test-admin-password' };

type Settings = Record<string, unknown>;

export interface StackOptions {
  /** Edge processes, all on the same stores; default 1. */
  edges?: number;
  /**
   * Base URL (with `/v1`) of the provider behind the default catalog (`test-chat`, `test-embed`, `test-image`); default: an own
   * demo provider without delays.
   */
  upstreamUrl?: string;
  /** Merged over the stack's router.yaml, key by key; arrays replace. */
  config?: Settings;
  /** Added to every service's environment. */
  env?: Record<string, string>;
  /** Stores that the test will kill or pause: they get an own server instead of a place on the shared one. NATS always has. */
  ownServers?: readonly ('postgres' | 'redis')[];
}

export interface TestStack {
  edge: RunningApp;
  edges: RunningApp[];
  admin: RunningApp;
  recorder: RunningApp;
  monitor: RunningApp;
  /** Present unless `upstreamUrl` was given. */
  demoProvider: RunningApp | undefined;
  nats: OwnService;
  /** Present with `ownServers`. */
  postgres: OwnService | undefined;
  redis: OwnService | undefined;
  databaseUrl: string;
  redisUrl: string;
  natsUrl: string;
  /** The environment that the services got, to start more of them. */
  env: Record<string, string>;
  /** Starts one more edge. */
  addEdge(): Promise<RunningApp>;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merge(base: Settings, over: Settings): Settings {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isSettings(below) && isSettings(value) ? merge(below, value) : value;
  }
  return merged;
}

/** How long stores may take: on a busy test machine seconds can pass without anything being wrong. Tests about slow stores set their own. */
export const PATIENT = { edge: { redis_timeout: '5s' }, redis: { command_timeout: '10s' }, database: { connect_timeout: '30s' } };

/** Limits high enough that only a test about limits meets them. */
function baseConfig(upstreamUrl: string): Settings {
  const route = { provider: 'openai-compatible', endpoint: upstreamUrl, api_key: 'upstream-key' };
  return {
    profile: 'development',
    server: { listen_addr: '127.0.0.1:0', graceful_shutdown_delay: '5s' },
    admin: { listen_addr: '127.0.0.1:0' },
    recorder: { listen_addr: '127.0.0.1:0', reaper_interval: '1s' },
    monitor: { listen_addr: '127.0.0.1:0' },
    observability: { enable_otlp: false },
    security: { upstream_allowlist: ['127.0.0.1'], webhook_allowlist: ['127.0.0.1'] },
    rate_limits: {
      default_requests_per_minute: 1_000_000,
      default_tokens_per_minute: 1_000_000_000,
      default_parallel_requests_key: 10_000,
      default_parallel_requests_tenant: 10_000,
    },
    budgets: { default_usd: 1000 },
    ...PATIENT,
    bootstrap: {
      tenants: [{ name: 'test' }],
      admin_users: [{ ...TEST_ADMIN, name: 'Test Admin' }],
      api_keys: [{ tenant: 'test', prefix: 'test', secret: 'test-secret', name: 'Test key' }],
    },
    model_catalog: [
      {
        ...route,
        alias: 'test-chat',
        provider_model: 'demo-chat',
        modalities: ['text', 'image'],
        supports_tools: true,
        max_output_tokens: 4096,
        price_input: 0.0005,
        price_output: 0.0015,
      },
      { ...route, alias: 'test-embed', provider_model: 'demo-embed', model_type: 'embedding', modalities: ['embeddings'], price_input: 0.00002 },
      { ...route, alias: 'test-image', provider_model: 'demo-image', model_type: 'image', modalities: ['image'], metadata: { price_image_cents: '2' } },
    ],
  };
}

function writeConfig(config: Settings): string {
  const file = join(temporaryFolder(), 'router.yaml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config, null, 2));
  return file;
}

interface Stores {
  postgres: OwnService | undefined;
  redis: OwnService | undefined;
  nats: OwnService;
  databaseUrl: string;
  redisUrl: string;
}

async function startStores(own: readonly string[]): Promise<Stores> {
  const [postgres, redis, nats] = await Promise.all([
    own.includes('postgres') ? startPostgres() : undefined,
    own.includes('redis') ? startRedis() : undefined,
    startNats(),
  ]);
  const [database, redisUrl] = await Promise.all([createTestDatabase({ serverUrl: postgres?.url }), redis?.url ?? createTestRedis().then(({ url }) => url)]);
  return { postgres, redis, nats, databaseUrl: database.url, redisUrl };
}

async function waitForModels(edge: RunningApp, config: Settings): Promise<void> {
  const aliases = (config['model_catalog'] as { alias: string; enabled?: boolean }[]).filter((entry) => entry.enabled !== false).map((entry) => entry.alias);
  const probe = async (): Promise<boolean> => {
    const response = await fetch(`${edge.url}/v1/models`, { headers: { authorization: `Bearer ${TEST_KEY}` } });
    const text = await response.text();
    if (!response.ok) throw new Error(`GET /v1/models answered ${response.status}: ${text}`);
    return aliases.every((alias) => text.includes(JSON.stringify(alias)));
  };
  await waitFor(probe, { what: `the edge to know the models ${aliases.join(', ')} and the key` });
}

/**
 * The whole product as built, on stores that this test file has to itself: one Postgres database, one Redis database, one NATS
 * server. Resolves when every service is ready and the edge serves `TEST_KEY` and all models. `cleanUp()` ends it.
 */
export async function startStack(options: StackOptions = {}): Promise<TestStack> {
  const stores = await startStores(options.ownServers ?? []);
  const demoProvider = options.upstreamUrl === undefined ? await startService('demo-provider', { DEMO_STATIC: '1' }) : undefined;
  const config = merge(baseConfig(options.upstreamUrl ?? `${demoProvider!.url}/v1`), options.config ?? {});
  const env = {
    ROUTER_CONFIG_FILE: writeConfig(config),
    ROUTER_DATABASE_URL: stores.databaseUrl,
    ROUTER_REDIS_URL: stores.redisUrl,
    ROUTER_NATS_URL: stores.nats.url,
    ...options.env,
  };
  const addEdge = (): Promise<RunningApp> => startService('edge-gateway', env);
  const [admin, recorder, monitor, ...edges] = await Promise.all([
    startService('admin-api', env),
    startService('usage-recorder', env),
    startService('health-monitor', env),
    ...Array.from({ length: options.edges ?? 1 }, addEdge),
  ]);
  await Promise.all(edges.map((edge) => waitForModels(edge, config)));
  return { ...stores, natsUrl: stores.nats.url, edge: edges[0]!, edges, admin, recorder, monitor, demoProvider, env, addEdge };
}
