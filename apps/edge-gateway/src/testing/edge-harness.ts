import { configKey, type DefaultsDocument, type KeyDocument, type RouteDocument, type TenantDocument } from '@omg/contracts';
import { hashApiKeySecret } from '@omg/domain';
import { KvBucket, connectNats } from '@omg/storage';
import { createTestRedis, addCleanup, startNats, startService, waitFor, type RunningApp, type RunningService } from '@omg/testkit';
import { randomUUID } from 'node:crypto';

/** The pepper that the development profile fills in. */
const PEPPER = 'development-only-api-key-pepper-0123456789';
const SECRET = 'test-secret';

/** The built edge on a real Redis and NATS, with the control plane's documents written by the test instead of the admin API. */
export interface EdgeHarness {
  edge: RunningApp;
  nats: RunningService;
  redisUrl: string;
  /** `Bearer` value of the default key. */
  authorization: string;
  tenantId: string;
  keyId: string;
  /** Writes a document and resolves when the bucket has it. */
  put(key: string, document: object): Promise<void>;
  remove(key: string): Promise<void>;
  putModel(alias: string, routes: Partial<RouteDocument>[]): Promise<void>;
  putTenant(change?: Partial<TenantDocument>): Promise<void>;
  putKey(change?: Partial<KeyDocument>): Promise<void>;
  /** `signal`: a client that leaves. */
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  /** Chat with one user message; fields are merged over it. */
  chat(body?: object, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
}

const DEFAULTS: DefaultsDocument = {
  v: 1,
  timezone: 'UTC',
  limits: { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, parallelRequestsKey: 10_000, parallelRequestsTenant: 10_000 },
  budget: { limitNano: '1000000000000', warningThreshold: 0.8, schedule: 'calendar_month', enforcement: 'estimate' },
};

/** A priced chat route of a self-hosted provider at `baseUrl` (with `/v1`). */
export function chatRoute(baseUrl: string, change: Partial<RouteDocument> = {}): RouteDocument {
  return {
    id: randomUUID(),
    provider: 'openai-compatible',
    providerModel: 'upstream-model',
    deployment: 'upstream-model',
    modelType: 'llm',
    modalities: ['text', 'image'],
    supportsTools: true,
    contextWindow: 0,
    maxOutputTokens: 4096,
    weight: 100,
    enabled: true,
    price: { id: 'price-1', input: '0.0005', output: '0.0015' },
    settings: { base_url: baseUrl },
    sealed: {},
    ...change,
  };
}

export async function startEdge(options: { config?: Record<string, string>; defaults?: Partial<DefaultsDocument> } = {}): Promise<EdgeHarness> {
  const [nats, redis] = await Promise.all([startNats(), createTestRedis()]);
  const client = connectNats({ url: nats.url, requestTimeoutMs: 60_000 }, { name: 'edge-test' });
  addCleanup(() => client.close());
  await client.connected();
  const bucket = new KvBucket(client, { name: 'config' });
  const put = async (key: string, document: object): Promise<void> => void (await bucket.put(key, JSON.stringify(document)));
  const tenantId = randomUUID();
  const keyId = randomUUID();
  const prefix = `k${keyId.slice(0, 8)}`;
  const putTenant = (change: Partial<TenantDocument> = {}): Promise<void> =>
    put(configKey.tenant(tenantId), { v: 1, id: tenantId, name: 'test', status: 'active', models: null, ...change });
  const putKey = (change: Partial<KeyDocument> = {}): Promise<void> =>
    put(configKey.key(prefix), {
      v: 1,
      id: keyId,
      tenantId,
      prefix,
      digests: [{ digest: hashApiKeySecret(PEPPER, SECRET).toString('base64') }],
      revoked: false,
      scopes: [],
      ...change,
    });
  await Promise.all([put(configKey.defaults, { ...DEFAULTS, ...options.defaults }), putTenant(), putKey()]);
  const edge = await startService('edge-gateway', {
    ROUTER_PROFILE: 'development',
    ROUTER_REDIS_URL: redis.url,
    ROUTER_NATS_URL: nats.url,
    ROUTER_OBSERVABILITY_ENABLE_OTLP: 'false',
    ROUTER_SECURITY_UPSTREAM_ALLOWLIST: '127.0.0.1',
    ROUTER_SERVER_LISTEN_ADDR: '127.0.0.1:0',
    // On a busy test machine seconds can pass without anything being wrong; tests about a slow Redis set their own.
    ROUTER_EDGE_REDIS_TIMEOUT: '5s',
    ...options.config,
  });
  const authorization = `Bearer sk-${prefix}.${SECRET}`;
  const post = (path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> =>
    fetch(edge.url + path, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal,
    });
  return {
    edge,
    nats,
    redisUrl: redis.url,
    authorization,
    tenantId,
    keyId,
    put,
    remove: (key) => bucket.delete(key),
    putModel: async (alias, routes) => {
      const documents = routes.map((route) => chatRoute('', route));
      await put(configKey.model(alias), { v: 1, alias, createdUnix: 1_700_000_000, routes: documents });
      await waitFor(async () => (await listedModels(edge.url, authorization)).includes(alias), { what: `the edge to know ${alias}` });
    },
    putTenant,
    putKey,
    post,
    chat: (body = {}, headers = {}, signal = undefined) =>
      post('/v1/chat/completions', { model: 'chat', messages: [{ role: 'user', content: 'Hello' }], ...body }, headers, signal),
  };
}

async function listedModels(edgeUrl: string, authorization: string): Promise<string[]> {
  const response = await fetch(`${edgeUrl}/v1/models`, { headers: { authorization } });
  const list = (await response.json()) as { data?: { id: string }[] };
  return (list.data ?? []).map((model) => model.id);
}
