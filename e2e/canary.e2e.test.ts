import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  cleanUp,
  repositoryRoot,
  startFakeUpstream,
  startOtlpReceiver,
  startStack,
  TEST_ADMIN,
  TEST_KEY,
  waitFor,
  type OtlpReceiver,
  type TestStack,
} from '@omg/testkit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ledger } from './support/usage.js';
import { dumpPostgres, dumpRedis, watchNats, watchRedis, type Watcher } from './support/watchers.js';

/**
 * One word in every prompt, one in every secret. They go through every route of both APIs, with everything traced and logged at
 * the finest level; then neither may be found in anything that is kept, sent or shown.
 */
const PROMPT = 'canary-5f1c9e-prompt';
const SECRET = 'canary-5f1c9e-secret';
/** What an upstream says when it fails: for the operators' log, never for the client. */
const UPSTREAM_WORDS = 'words-of-the-upstream-5f1c9e';

type Body = Record<string, any>;

let stack: TestStack;
let receiver: OtlpReceiver;
let redis: Watcher;
let nats: Watcher;
let token: string;
/** Secrets that the gateway itself made, shown once in the answer that made them. */
const madeSecrets: string[] = [];
/** Bodies and headers of all failures, and of every admin answer but those that show a new secret. */
const answers: string[] = [];

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  const failing = await startFakeUpstream((exchange) => {
    const status = Number(/"model":"fail-(\d+)"/.exec(exchange.request.body.toString())?.[1] ?? 500);
    return exchange.respond(status, { error: { message: `${UPSTREAM_WORDS} ${SECRET.slice(0, 6)}`, type: UPSTREAM_WORDS, code: UPSTREAM_WORDS } });
  });
  const failures = [400, 401, 404, 429, 500].map((status) => ({
    alias: `fail-${status}`,
    provider: 'openai-compatible',
    provider_model: `fail-${status}`,
    endpoint: `${failing.origin}/v1`,
    api_key: `${SECRET}-config`,
  }));
  stack = await startStack({
    ownServers: ['redis'],
    config: {
      observability: { enable_otlp: true, otlp_endpoint: receiver.endpoint, trace_sample_ratio: 1, log_level: 'trace' },
      budgets: { default_usd: 1000, warning_threshold_perc: 1e-12, alert: { enabled: true, webhooks: [`${failing.origin}/hook`], cooldown: '1s' } },
    },
  });
  redis = await watchRedis(stack.redisUrl);
  nats = await watchNats(stack.natsUrl);
  token = (await admin('POST', '/admin/auth/login', TEST_ADMIN, { quiet: true })).body['access_token'];
  for (const { alias, ...entry } of failures) await admin('POST', '/admin/model-catalog', { alias, ...entry });
});
afterAll(cleanUp);

async function admin(method: string, path: string, body?: unknown, options: { quiet?: boolean } = {}): Promise<{ status: number; body: Body }> {
  const response = await fetch(`${stack.admin.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    redirect: 'manual',
  });
  const text = await response.text();
  if (!options.quiet) answers.push(`${method} ${path.split('?')[0]} ${response.status}`, text, JSON.stringify([...response.headers]));
  return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as Body) : {} };
}

async function edge(path: string, body: unknown, key = TEST_KEY): Promise<number> {
  const response = await fetch(`${stack.edge.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  // An answer of a model may say what it was asked; a refusal may not.
  if (!response.ok) answers.push(`POST ${path} ${response.status}`, text, JSON.stringify([...response.headers]));
  return response.status;
}

const messages = [
  { role: 'system', content: PROMPT },
  { role: 'user', content: [{ type: 'text', text: PROMPT }] },
];
const tools = [
  {
    type: 'function',
    function: { name: 'look', description: PROMPT, parameters: { type: 'object', properties: { q: { type: 'string', description: PROMPT } } } },
  },
];

describe('a canary', () => {
  it('goes through every route of the edge, well and badly', async () => {
    const chat = '/v1/chat/completions';
    expect(await edge(chat, { model: 'test-chat', messages, tools, user: PROMPT })).toBe(200);
    expect(await edge(chat, { model: 'test-chat', messages, stream: true, stream_options: { include_usage: true } })).toBe(200);
    expect(await edge('/v1/embeddings', { model: 'test-embed', input: [PROMPT, PROMPT] })).toBe(200);
    expect(await edge('/v1/images/generations', { model: 'test-image', prompt: PROMPT, n: 1, size: '256x256' })).toBe(200);
    // Passed on as they are, for the provider to judge.
    for (const odd of [{ temperature: PROMPT }, { response_format: { type: PROMPT } }, { metadata: { note: PROMPT } }])
      await edge(chat, { model: 'test-chat', messages, ...odd });
    const refused = [
      [chat, { model: 'test-chat', messages: PROMPT }],
      [chat, { model: 'nobody-has-it', messages }],
      [chat, `{"model": "test-chat", "messages": [{"role": "user", "content": "${PROMPT}`],
      [chat, { messages }],
      ['/v1/embeddings', { model: 'test-chat', input: PROMPT }],
      ['/v1/embeddings', { model: 'test-embed', input: { text: PROMPT } }],
      ['/v1/images/generations', { model: 'test-image', prompt: PROMPT, n: PROMPT }],
      ['/v1/unknown', { prompt: PROMPT }],
    ] as const;
    for (const [path, body] of refused) expect([path, body, (await edge(path, body)) >= 400]).toEqual([path, body, true]);
    for (const key of [`sk-test.${SECRET}`, `sk-nobody.${SECRET}`, SECRET]) expect(await edge(chat, { model: 'test-chat', messages }, key)).toBe(401);
    for (const status of [400, 401, 404, 429, 500])
      for (const stream of [false, true]) expect(await edge(chat, { model: `fail-${status}`, messages, stream })).toBeGreaterThanOrEqual(400);
  });

  it('goes through every route of the admin API that takes a secret, and then every one that shows something', async () => {
    const tenantId = ((await admin('GET', '/admin/tenants')).body['tenants'] as Body[])[0]!['id'] as string;
    const expectStatus = async (wanted: number, method: string, path: string, body: unknown, quiet = false): Promise<Body> => {
      const answer = await admin(method, path, body, { quiet });
      expect([method, path, answer.status]).toEqual([method, path, wanted]);
      return answer.body;
    };
    await expectStatus(401, 'POST', '/admin/auth/login', { email: TEST_ADMIN.email, password: SECRET });
    const user = await expectStatus(201, 'POST', '/admin/users', { email: 'new@test.example', name: 'New', password: `${SECRET}-user` });
    await expectStatus(204, 'POST', `/admin/users/${String(user['id'])}/password`, { password: `${SECRET}-changed` });
    await expectStatus(200, 'POST', '/admin/model-catalog', {
      alias: 'with-secrets',
      provider: 'bedrock',
      provider_model: 'amazon.titan-text-express-v1',
      region: 'us-east-1',
      metadata: { aws_access_key_id: 'AKIAEXAMPLE', aws_secret_access_key: `${SECRET}-aws` },
    });
    await expectStatus(200, 'PUT', '/admin/settings/alerts', {
      smtp: {
        host: '127.0.0.1',
        port: 9,
        username: 'gateway',
        password: `${SECRET}-smtp`,
        from: 'gateway@test.example',
        use_tls: false,
        skip_tls_verify: false,
      },
      webhook: { timeout_seconds: 1, max_retries: 1 },
    });
    expect((await admin('POST', '/admin/settings/alerts/test-email', { email: 'a@test.example' })).status).toBeGreaterThanOrEqual(400);
    const made = await expectStatus(201, 'POST', `/admin/tenants/${tenantId}/api-keys`, { name: 'Canary' }, true);
    const keyPath = `/admin/tenants/${tenantId}/api-keys/${String((made['api_key'] ?? made)['id'])}`;
    const rotated = await expectStatus(200, 'POST', `${keyPath}/rotate`, {}, true);
    const personal = await expectStatus(201, 'POST', '/admin/tokens', { name: 'Canary' }, true);
    madeSecrets.push(...[made, rotated, personal].map(secretOf));
    // Mistakes in the same places: a refusal names the field, not what was in it.
    await expectStatus(400, 'POST', '/admin/users', { email: SECRET, name: 7, password: SECRET, [SECRET]: 1 });
    await expectStatus(400, 'POST', '/admin/model-catalog', { alias: 'x', provider: 'openai', provider_model: 'x', api_key: { value: SECRET } });
    await expectStatus(400, 'PUT', '/admin/settings/alerts', { smtp: { password: [SECRET] }, webhook: SECRET });
    await expectStatus(400, 'POST', '/admin/auth/login', `{"email": "a@test.example", "password": "${SECRET}`);
    await admin('GET', `/admin/auth/oidc/callback?code=${SECRET}&state=${SECRET}`);
    const shown = await readEverything({ tenantId, keyId: keyPath.split('/').at(-1)!, userId: String(user['id']), alias: 'with-secrets' });
    expect(shown).toBeGreaterThan(30);
  });

  it('shows in no log, span, metric, queue, message, row, stored value, audit record, refusal or admin answer', async () => {
    const ledger = Ledger.open(stack.databaseUrl);
    await waitFor(async () => (await ledger.count()) >= 14, { what: 'the rows of the calls' });
    await ledger.close();
    await waitFor(
      () => receiver.spans.some((span) => span.name === 'deliver alert') && receiver.spans.filter((span) => span.name === 'commit usage').length >= 4,
      {
        what: 'the spans',
      },
    );
    const places: Record<string, string> = { spans: JSON.stringify(receiver.spans), redis: redis.text(), nats: nats.text(), answers: answers.join('\n') };
    for (const app of [stack.edge, stack.admin, stack.recorder, stack.monitor]) {
      places[`log of ${app.app}`] = JSON.stringify(app.logs) + app.rawOutput.join('\n');
      places[`metrics of ${app.app}`] = await (await fetch(`${app.url}/metrics`)).text();
    }
    places['rows in Postgres'] = await dumpPostgres(stack.databaseUrl);
    places['values in Redis'] = await dumpRedis(stack.redisUrl);
    // The watchers watched: each saw what it is about.
    for (const [place, sign] of Object.entries({ redis: 'alert-delivery', nats: 'usage', answers: 'invalid_api_key', 'rows in Postgres': 'with-secrets' }))
      expect([place, places[place]!.includes(sign)]).toEqual([place, true]);
    for (const [place, text] of Object.entries(places)) {
      expect([place, text.length > 500]).toEqual([place, true]);
      for (const word of [PROMPT, SECRET, ...madeSecrets]) expect([place, aroundOf(text, word)]).toEqual([place, undefined]);
    }
    expect(aroundOf(places['answers']!, UPSTREAM_WORDS)).toBeUndefined();
  });
});

/** The part of a new key or token that is secret: what follows its prefix. */
function secretOf(body: Body): string {
  const text = /"(?:token|secret)":"([^"]+)"/.exec(JSON.stringify(body))![1]!;
  const secret = text.split('.').at(-1)!;
  expect(secret.length).toBeGreaterThan(20);
  return secret;
}

/** Where a word was found, for the message of a failing test. */
function aroundOf(text: string, word: string): string | undefined {
  const index = text.indexOf(word);
  return index < 0 ? undefined : text.slice(Math.max(0, index - 200), index + word.length + 50);
}

/** Every GET of the admin API's own document; resolves with how many answered 200. */
async function readEverything(names: Record<string, string>): Promise<number> {
  const document = JSON.parse(readFileSync(join(repositoryRoot(), 'docs/reference/admin-openapi.json'), 'utf8')) as {
    paths: Record<string, { get?: { parameters?: { name: string; in: string; required?: boolean }[] } }>;
  };
  const values: Record<string, string> = {
    ...names,
    model: 'test-chat',
    model_alias: 'test-chat',
    user_id: names['userId']!,
    tenant_id: names['tenantId']!,
    group: 'model',
  };
  let shown = 0;
  for (const [path, { get }] of Object.entries(document.paths)) {
    if (!get) continue;
    const query = (get.parameters ?? [])
      .filter((parameter) => parameter.in === 'query' && parameter.required)
      .map(({ name }) => `${name}=${values[name] ?? ''}`);
    const { status } = await admin('GET', `${path.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!)}?${query.join('&')}`);
    if (status === 200) shown += 1;
  }
  return shown;
}
