import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

beforeAll(async () => {
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, JSON.stringify(chatAnswer())));
  harness = await startEdge({ config: { ROUTER_SERVER_BODY_LIMIT_MB: '1' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  await harness.putModel('no-tools', [chatRoute(`${upstream.origin}/v1`, { supportsTools: false })]);
  await harness.putModel('embed', [chatRoute(`${upstream.origin}/v1`, { modelType: 'embedding', modalities: ['embeddings'] })]);
  await harness.putModel('text-embed', [
    chatRoute(`${upstream.origin}/v1`, {
      provider: 'mistral',
      modelType: 'embedding',
      modalities: ['embeddings'],
      settings: { base_url: `${upstream.origin}/v1`, api_key: 'k' },
    }),
  ]);
  await harness.putModel('draw', [chatRoute(`${upstream.origin}/v1`, { modelType: 'image', modalities: ['image'] })]);
});

afterAll(cleanUp);

async function errorOf(response: Response): Promise<{ status: number; code: string; type: string; param: string | null; message: string }> {
  const body = (await response.json()) as { error: { code: string; type: string; param: string | null; message: string } };
  return { status: response.status, ...body.error };
}

describe('a request that cannot be served', () => {
  it.each([
    ['no header', undefined],
    ['another scheme', 'Basic c2stdGVzdDp4'],
    ['no secret', 'Bearer sk-test'],
    ['an unknown prefix', 'Bearer sk-unknown.secret'],
    ['a wrong secret', 'wrong'],
  ])('is answered alike whatever is wrong with its key: %s', async (_what, value) => {
    const authorization = value === 'wrong' ? harness.authorization.replace(/\..*$/, '.not-the-secret') : value;
    const response = await fetch(`${harness.edge.url}/v1/models`, { headers: authorization ? { authorization } : {} });
    expect(await errorOf(response)).toEqual({
      status: 401,
      code: 'invalid_api_key',
      type: 'invalid_request_error',
      param: null,
      message: 'Incorrect API key provided.',
    });
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    expect(response.headers.get('x-budget-limit-cents')).toBeNull();
  });

  it.each([
    ['not JSON', '{"model":', 'invalid_json', null],
    ['not an object', '[1]', 'invalid_json', null],
    ['too deep', `{"model":"chat","messages":${'['.repeat(500)}${']'.repeat(500)}}`, 'invalid_json', null],
    ['more objects than anyone means', `{"model":"chat","messages":[{"role":"user","content":"x"}],"x":[${'{},'.repeat(120_000)}{}]}`, 'invalid_json', null],
    [
      'more names than anyone means',
      JSON.stringify({ model: 'chat', x: Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`n${i}`, [i]])) }),
      'invalid_json',
      null,
    ],
    ['no model', '{"messages":[{"role":"user","content":"x"}]}', 'missing_required_parameter', 'model'],
    ['a model that is no text', '{"model":7,"messages":[]}', 'invalid_value', 'model'],
    ['a second model in capitals', '{"model":"chat","Model":"dearer","messages":[{"role":"user","content":"x"}]}', 'unsupported_parameter', 'Model'],
    [
      'a limit that only some servers read',
      '{"model":"chat","messages":[{"role":"user","content":"x"}],"max_toKenſ":9}',
      'unsupported_parameter',
      'max_toKenſ',
    ],
    ['no messages', '{"model":"chat"}', 'missing_required_parameter', 'messages'],
    ['an unknown role', '{"model":"chat","messages":[{"role":"robot","content":"x"}]}', 'invalid_value', 'messages[0].role'],
    ['content of a wrong type', '{"model":"chat","messages":[{"role":"user","content":7}]}', 'invalid_value', 'messages[0].content'],
    [
      'a tool message without its call',
      '{"model":"chat","messages":[{"role":"tool","content":"x"}]}',
      'missing_required_parameter',
      'messages[0].tool_call_id',
    ],
    ['a negative limit', '{"model":"chat","messages":[{"role":"user","content":"x"}],"max_tokens":-1}', 'invalid_value', 'max_tokens'],
    ['too many stops', '{"model":"chat","messages":[{"role":"user","content":"x"}],"stop":["a","b","c","d","e"]}', 'invalid_value', 'stop'],
    ['stream options without a stream', '{"model":"chat","messages":[{"role":"user","content":"x"}],"stream_options":{}}', 'invalid_value', 'stream_options'],
    [
      'tools that the model does not have',
      '{"model":"no-tools","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}',
      'unsupported_parameter',
      'tools',
    ],
    ['an operation that the model does not have', '{"model":"embed","messages":[{"role":"user","content":"x"}]}', 'unsupported_operation', 'model'],
  ])('gets 400 with the field at fault and no provider is called: %s', async (_what, body, code, param) => {
    const calls = upstream.requests.length;
    const response = await harness.post('/v1/chat/completions', body);
    expect(await errorOf(response)).toMatchObject({ status: 400, code, param, type: 'invalid_request_error' });
    expect(response.headers.get('x-budget-limit-cents')).not.toBeNull();
    expect(upstream.requests).toHaveLength(calls);
  });

  it.each([
    ['nothing', '{"model":"embed"}', 'missing_required_parameter', 'input'],
    ['an empty text', '{"model":"embed","input":""}', 'invalid_value', 'input'],
    ['an empty list', '{"model":"embed","input":[]}', 'invalid_value', 'input'],
    ['mixed items', '{"model":"embed","input":["a",7]}', 'invalid_value', 'input[1]'],
    ['an unknown encoding', '{"model":"embed","input":"a","encoding_format":"hex"}', 'invalid_value', 'encoding_format'],
  ])('gets 400 for embeddings of %s', async (_what, body, code, param) => {
    expect(await errorOf(await harness.post('/v1/embeddings', body))).toMatchObject({ status: 400, code, param });
  });

  it.each([
    ['/v1/embeddings', { model: 'chat', input: 'a' }],
    ['/v1/embeddings', { model: 'draw', input: 'a' }],
    ['/v1/images/generations', { model: 'chat', prompt: 'a' }],
    ['/v1/images/generations', { model: 'embed', prompt: 'a' }],
  ])('gets 400 for an operation that its model does not have, and no provider is called: %s of %j', async (path, body) => {
    const calls = upstream.requests.length;
    expect(await errorOf(await harness.post(path, body))).toMatchObject({ status: 400, code: 'unsupported_operation', param: 'model' });
    expect(upstream.requests).toHaveLength(calls);
  });

  it('gets to read its 413 although it is still sending', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => harness.chat({ user: 'x'.repeat(24 * 1024 * 1024) }).then((response) => response.status)),
    );
    expect(answers).toEqual(Array.from({ length: 8 }, () => 413));
  });

  it('gets 413 for a body over the limit and 415 for another content type', async () => {
    expect(await errorOf(await harness.chat({ user: 'x'.repeat(1024 * 1024) }))).toMatchObject({ status: 413, code: 'request_too_large' });
    expect(await errorOf(await harness.post('/v1/chat/completions', 'model=chat', { 'content-type': 'application/x-www-form-urlencoded' }))).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    });
  });

  it('hears of its budget although it never came as far as the model: too large, of another type, one model that is not there', async () => {
    const answers = await Promise.all([
      harness.chat({ user: 'x'.repeat(1024 * 1024) }),
      harness.post('/v1/chat/completions', 'model=chat', { 'content-type': 'text/plain' }),
      fetch(`${harness.edge.url}/v1/models/nobody`, { headers: { authorization: harness.authorization } }),
    ]);
    expect(answers.map(({ status, headers }) => [status, headers.get('x-budget-limit-cents')])).toEqual([
      [413, '100000'],
      [415, '100000'],
      [404, '100000'],
    ]);
  });

  it('is told to send text where the model takes no token ids, which frameworks make of it by themselves', async () => {
    expect(await errorOf(await harness.post('/v1/embeddings', { model: 'text-embed', input: [[1, 2], [3]] }))).toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'input',
      message: 'This model does not take token ids: send text.',
    });
  });

  it('gets JSON for unknown URLs and wrong methods', async () => {
    const headers = { authorization: harness.authorization };
    expect(await errorOf(await fetch(`${harness.edge.url}/v1/unknown`, { headers }))).toMatchObject({ status: 404, code: 'not_found' });
    expect(await errorOf(await fetch(`${harness.edge.url}/v1/chat/completions`, { headers }))).toMatchObject({ status: 405, code: 'method_not_allowed' });
  });

  it('is told what it asked for, and what it most likely meant', async () => {
    const message = async (response: Response): Promise<string> => ((await response.json()) as { error: { message: string } }).error.message;
    const post = (path: string) => harness.post(path, { model: 'chat', messages: [{ role: 'user', content: 'a' }] }).then(message);
    expect(await post('/chat/completions')).toBe(
      'Unknown request URL: POST /chat/completions. Did you mean /v1/chat/completions? The base URL for clients ends in /v1.',
    );
    expect(await post('/v1/v1/chat/completions')).toMatch(/Did you mean \/v1\/chat\/completions\?/);
    for (const base of ['/api/v1', '/openai', '/openai/deployments/chat', '/v1/deployments/chat']) {
      expect(await post(`${base}/chat/completions?api-version=2024-10-21`)).toMatch(/Did you mean \/v1\/chat\/completions\?/);
    }
    expect(await post('/v1/responses')).toBe('Unknown request URL: POST /v1/responses. Use /v1/chat/completions instead.');
    expect(await post('/v1/completions')).toMatch(/Use \/v1\/chat\/completions instead\./);
    expect(await post('/v1/moderations')).toBe('Unknown request URL: POST /v1/moderations.');
    expect(await post(`/${'x'.repeat(500)}`)).toBe(`Unknown request URL: POST /${'x'.repeat(127)}.`);
    expect(await message(await harness.chat({ model: 'gpt-99' }))).toBe("The model 'gpt-99' does not exist or is not enabled.");
    const headers = { authorization: harness.authorization };
    expect(await message(await fetch(`${harness.edge.url}/v1/models/gpt-99`, { headers }))).toBe("The model 'gpt-99' does not exist or is not enabled.");
    expect(await message(await harness.post('/v1/embeddings', { model: 'chat', input: 'a' }))).toBe("The model 'chat' does not support embeddings.");
  });

  it('keeps a given request id, replaces a hostile one, and shows it on errors too', async () => {
    const given = await harness.chat({ model: 'nope' }, { 'x-request-id': 'abc-123_x.y' });
    expect(given.headers.get('x-request-id')).toBe('abc-123_x.y');
    const hostile = await harness.chat({ model: 'nope' }, { 'x-request-id': '"><script>' });
    expect(hostile.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  });

  it('may use __proto__ as a field without any effect', async () => {
    const response = await harness.post(
      '/v1/chat/completions',
      '{"model":"chat","messages":[{"role":"user","content":"x"}],"__proto__":{"stream":true},"constructor":1}',
    );
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/application\/json/);
  });
});

describe('what the control plane changes', () => {
  it('a tenant without the model gets 403 before it could learn whether the model exists', async () => {
    await harness.putTenant({ models: ['embed'] });
    const refused = async (model: string) => errorOf(await harness.chat({ model }));
    await waitFor(async () => (await refused('chat')).status === 403, { what: 'the allowlist to reach the edge' });
    expect(await refused('chat')).toMatchObject({ code: 'model_not_allowed', type: 'permission_error' });
    expect(await refused('no-such-model')).toMatchObject({ status: 403, code: 'model_not_allowed' });
    const list = (await (await fetch(`${harness.edge.url}/v1/models`, { headers: { authorization: harness.authorization } })).json()) as {
      data: { id: string }[];
    };
    expect(list.data.map((model) => model.id)).toEqual(['embed']);
    await harness.putTenant();
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'the allowlist to be lifted' });
  });

  it('a suspended tenant, a revoked key and an expired key are refused within a second', async () => {
    const refusedAfterMs = async (change: () => Promise<void>, status: number, undo: () => Promise<void>): Promise<number> => {
      await change();
      const startedAt = performance.now();
      await waitFor(async () => (await harness.chat()).status === status, { intervalMs: 5, what: `status ${status}` });
      const elapsedMs = performance.now() - startedAt;
      await undo();
      await waitFor(async () => (await harness.chat()).status === 200, { what: 'the change to be undone' });
      return elapsedMs;
    };
    const putTenant = () => harness.putTenant();
    const putKey = () => harness.putKey();
    const tookMs = [
      await refusedAfterMs(() => harness.putTenant({ status: 'suspended' }), 403, putTenant),
      await refusedAfterMs(() => harness.putKey({ revoked: true }), 401, putKey),
      await refusedAfterMs(() => harness.putKey({ expiresAtMs: 1 }), 401, putKey),
    ].toSorted((a, b) => a - b);
    // The middle one: on a busy machine a single one may wait for its processor.
    expect(tookMs[1]).toBeLessThan(1000);
  });

  it('a key may only be used within its scopes, at every endpoint', async () => {
    const get = (path: string): Promise<Response> => fetch(harness.edge.url + path, { headers: { authorization: harness.authorization } });
    const calls: Record<string, () => Promise<Response>> = {
      chat: () => harness.chat(),
      embeddings: () => harness.post('/v1/embeddings', { model: 'embed', input: 'a' }),
      images: () => harness.post('/v1/images/generations', { model: 'draw', prompt: 'a' }),
      models: () => get('/v1/models'),
      'one model': () => get('/v1/models/chat'),
    };
    for (const [scope, open] of [
      ['chat', ['chat']],
      ['embeddings', ['embeddings']],
      ['images', ['images']],
      ['models', ['models', 'one model']],
    ] as const) {
      await harness.putKey({ scopes: [scope] });
      await waitFor(async () => (await calls[open[0]]!()).status !== 403, { what: `the scope ${scope} to reach the edge` });
      const refused: string[] = [];
      for (const [name, call] of Object.entries(calls)) {
        const response = await call();
        if (response.status === 403) refused.push(`${name} ${(await errorOf(response)).code}`);
      }
      expect(refused).toEqual(Object.keys(calls).flatMap((name) => ((open as readonly string[]).includes(name) ? [] : [`${name} insufficient_scope`])));
    }
    await harness.putKey();
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'the scopes to be lifted' });
  });

  it('a disabled model is gone for clients', async () => {
    await harness.putModel('fleeting', [chatRoute(`${upstream.origin}/v1`)]);
    expect((await harness.chat({ model: 'FLEETING' })).status).toBe(200);
    await harness.put(`model.${Buffer.from('fleeting').toString('base64url')}`, {
      v: 1,
      alias: 'fleeting',
      createdUnix: 1,
      routes: [chatRoute(`${upstream.origin}/v1`, { enabled: false })],
    });
    await waitFor(async () => (await harness.chat({ model: 'fleeting' })).status === 404, { what: 'the model to vanish' });
  });

  it('a broken entry disables its route alone: nobody calls it, and an alias that has no other route answers 503', async () => {
    const broken = { provider: 'no-such-provider', invalid: 'price_input: must not be negative' };
    const working = chatRoute(`${upstream.origin}/v1`);
    await harness.putModel('broken', [chatRoute(`${upstream.origin}/v1`, { invalid: broken.invalid }), chatRoute('', { provider: broken.provider })]);
    await harness.putModel('half-broken', [chatRoute(`${upstream.origin}/v1`, { ...broken, weight: 1_000_000 }), working]);
    const calls = upstream.requests.length;
    const response = await harness.chat({ model: 'broken' });
    expect(await errorOf(response)).toMatchObject({ status: 503, code: 'no_backend_available' });
    expect(response.headers.get('retry-after')).toMatch(/^[1-9]/);
    expect(upstream.requests).toHaveLength(calls);
    const served = await harness.chat({ model: 'half-broken' });
    expect([served.status, served.headers.get('x-omg-route'), served.headers.get('x-omg-attempts')]).toEqual([200, working.id, '1']);
  });

  it('an entry that cannot be read leaves the former one in force', async () => {
    await harness.put(`model.${Buffer.from('chat').toString('base64url')}`, { v: 99 });
    await waitFor(() => harness.edge.logs.some((line) => String(line.msg).startsWith('configuration entry cannot be read')), {
      what: 'the complaint in the log',
    });
    expect((await harness.chat()).status).toBe(200);
  });
});

describe('an address that makes up keys', () => {
  it('is told to come later once it has asked for too many, while keys that are in use are served', async () => {
    const statuses = new Map<number, number>();
    let refused: Response | undefined;
    for (let round = 0; round < 400 && !refused; round++) {
      const guesses = Array.from({ length: 50 }, (_, i) => ({ authorization: `Bearer sk-made-up-${round}-${i}.secret` }));
      for (const answer of await Promise.all(guesses.map((headers) => fetch(`${harness.edge.url}/v1/models`, { headers })))) {
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 429) refused = answer;
      }
    }
    expect(statuses.get(401)).toBeGreaterThanOrEqual(500);
    expect(await errorOf(refused!)).toEqual({
      status: 429,
      code: 'rate_limit_exceeded',
      type: 'requests',
      param: null,
      message: 'Too many requests with unknown API keys.',
    });
    expect(Number(refused!.headers.get('retry-after-ms'))).toBeLessThanOrEqual(20);
    expect((await harness.chat()).status).toBe(200);
  });
});
