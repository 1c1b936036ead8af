import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, startStack, TEST_ADMIN, TEST_KEY, waitFor, type FakeUpstream, type RunningApp, type TestStack } from '@omg/testkit';
import { randomUUID } from 'node:crypto';

/** Routes of the catalog while the gateway runs: what is changed in the admin API, and what the health monitor may and may not do. */
let stack: TestStack;
let upstream: FakeUpstream;
let adminToken: string;

const ANSWER = JSON.stringify({
  id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
  object: 'chat.completion',
  created: 1741569952,
  model: 'gpt-4.1-2025-04-14',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!', refusal: null }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 19, completion_tokens: 10, total_tokens: 29 },
});
const MODELS = '{"object":"list","data":[]}';
const SERVER_ERROR = '{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}';
const PROBE_INTERVAL_MS = 1_000;

beforeAll(async () => {
  upstream = await startFakeUpstream();
  stack = await startStack({ edges: 2, upstreamUrl: `${upstream.origin}/v1`, config: { health: { check_interval: `${PROBE_INTERVAL_MS}ms` } } });
  const response = await fetch(`${stack.admin.url}/admin/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: TEST_ADMIN.email, password: TEST_ADMIN.password }),
  });
  adminToken = ((await response.json()) as { access_token: string }).access_token;
});
afterAll(cleanUp);

beforeEach(() => {
  upstream.script((exchange) => exchange.respond(200, exchange.request.method === 'GET' ? MODELS : ANSWER));
});

async function save(alias: string, change: object): Promise<{ status: number; text: string }> {
  const entry = { alias, provider: 'openai-compatible', provider_model: 'm', endpoint: `${upstream.origin}/v1`, modalities: ['text'], ...change };
  const response = await fetch(`${stack.admin.url}/admin/model-catalog`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${adminToken}` },
    body: JSON.stringify(entry),
  });
  return { status: response.status, text: await response.text() };
}

async function chat(edge: RunningApp, model: string): Promise<{ status: number; code?: string }> {
  const response = await fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TEST_KEY}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
  });
  const body = (await response.json()) as { error?: { code: string } };
  return { status: response.status, ...(body.error && { code: body.error.code }) };
}

const lastKey = (): string | undefined => upstream.requests.filter(({ method }) => method === 'POST').at(-1)?.headers['authorization'] as string | undefined;
const freshAlias = (): string => `m-${randomUUID().slice(0, 8)}`;

/** Until both edges know the alias. */
async function served(alias: string): Promise<void> {
  for (const edge of stack.edges) await waitFor(async () => (await chat(edge, alias)).status === 200, { what: `${alias} to be served` });
}

describe('a change of the catalog', () => {
  it("rotates a provider's key on every edge without a restart, and never shows it", async () => {
    const alias = freshAlias();
    expect((await save(alias, { api_key: 'upstream-key-before' })).status).toBe(200);
    await served(alias);
    expect(lastKey()).toBe('Bearer upstream-key-before');
    const { status, text } = await save(alias, { api_key: 'upstream-key-after' });
    expect(status).toBe(200);
    expect(text).not.toContain('upstream-key-after');
    for (const edge of stack.edges) {
      await waitFor(async () => (await chat(edge, alias)).status === 200 && lastKey() === 'Bearer upstream-key-after', { what: 'the new key', intervalMs: 10 });
    }
  });

  it('takes a disabled model away on every edge: 404, as if it had never been', async () => {
    const alias = freshAlias();
    await save(alias, { api_key: 'k' });
    await served(alias);
    await save(alias, { api_key: 'k', enabled: false });
    for (const edge of stack.edges) {
      const gone = await waitFor(
        async () => {
          const answer = await chat(edge, alias);
          return answer.status === 404 ? answer : undefined;
        },
        { what: 'the model to vanish', intervalMs: 10 },
      );
      expect(gone).toEqual({ status: 404, code: 'model_not_found' });
    }
  });
});

describe('the health monitor', () => {
  it('does not close a breaker that live traffic opened, however well its probes go', async () => {
    const alias = freshAlias();
    await save(alias, { api_key: 'k' });
    await served(alias);
    upstream.script((exchange) => (exchange.request.method === 'GET' ? exchange.respond(200, MODELS) : exchange.respond(500, SERVER_ERROR)));
    const [edge] = stack.edges;
    for (let i = 0; i < 3; i++) expect((await chat(edge!, alias)).status).toBe(502);
    expect(await chat(edge!, alias)).toEqual({ status: 503, code: 'no_backend_available' });
    const since = upstream.requests.length;
    const probes = (): number => upstream.requests.slice(since).filter(({ method }) => method === 'GET').length;
    // All routes of this stack are probed at the same server: several rounds are several probes of each.
    await waitFor(() => probes() >= 20, { what: 'several rounds of good probes' });
    expect(await chat(edge!, alias)).toEqual({ status: 503, code: 'no_backend_available' });
    expect(upstream.requests.slice(since).filter(({ method }) => method === 'POST')).toHaveLength(0);
  });

  it('changes nothing for traffic when it dies', async () => {
    const alias = freshAlias();
    await save(alias, { api_key: 'k' });
    await served(alias);
    await stack.monitor.kill();
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) statuses.push((await chat(stack.edges[i % 2]!, alias)).status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const other = freshAlias();
    await save(other, { api_key: 'k' });
    await served(other);
  });
});
