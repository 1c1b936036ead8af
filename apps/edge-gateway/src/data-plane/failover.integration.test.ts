import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { configKey } from '@omg/contracts';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let primary: FakeUpstream;
let secondary: FakeUpstream;
/** A fresh alias per test, so that no breaker is shared. */
let model: string;
let primaryRoute: string;
let secondaryRoute: string;

const answer = (content: string): string => JSON.stringify(chatAnswer(undefined, content));
const SERVER_ERROR = '{"error":{"message":"The server had an error on gpu-7","type":"server_error","param":null,"code":null}}';

beforeAll(async () => {
  primary = await startFakeUpstream();
  secondary = await startFakeUpstream((exchange) => exchange.respond(200, answer('from the second')));
  harness = await startEdge({ config: { ROUTER_SERVER_PROVIDER_TIMEOUT: '5s', ROUTER_EDGE_RETRY_BUDGET_RATIO: '1', ROUTER_HEALTH_COOLDOWN: '5s' } });
});

afterAll(cleanUp);

beforeEach(async () => {
  model = `m-${randomUUID().slice(0, 8)}`;
  primaryRoute = randomUUID();
  secondaryRoute = randomUUID();
  // A weight of a million to one makes the first choice certain enough.
  await harness.putModel(model, [
    chatRoute(`${primary.origin}/v1`, { id: primaryRoute, weight: 1_000_000 }),
    chatRoute(`${secondary.origin}/v1`, { id: secondaryRoute, weight: 1 }),
  ]);
});

describe('failover', () => {
  it.each([
    ['500', () => primary.script((exchange) => exchange.respond(500, SERVER_ERROR))],
    ['429 with Retry-After', () => primary.script((exchange) => exchange.respond(429, SERVER_ERROR, { 'retry-after': '7' }))],
    [
      "the gateway's own key refused",
      () =>
        primary.script((exchange) =>
          exchange.respond(
            401,
            '{"error":{"message":"Incorrect API key provided: sk-upst****","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}',
          ),
        ),
    ],
    ['a reset before the headers', () => primary.script((exchange) => exchange.reset())],
    ['silence before the headers', () => primary.script(() => undefined)],
    ['an answer that is not JSON', () => primary.script((exchange) => exchange.respond(200, '<html>busy</html>', { 'content-type': 'text/html' }))],
  ])('answers from the next route after %s', async (_what, arrange) => {
    arrange();
    const response = await harness.chat({ model });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('from the second');
    expect(response.headers.get('x-omg-attempts')).toBe('2');
    expect(response.headers.get('x-omg-route')).toBe(secondaryRoute);
  });

  it("does not happen for what is the client's fault, and the provider's words stay here", async () => {
    primary.script((exchange) =>
      exchange.respond(400, '{"error":{"message":"internal detail","type":"invalid_request_error","param":"top_k","code":"unknown_parameter"}}'),
    );
    const before = secondary.requests.length;
    const response = await harness.chat({ model });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('internal detail');
    expect(secondary.requests).toHaveLength(before);
  });

  it('happens in a stream only before its first chunk', async () => {
    const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n`;
    secondary.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(
        chunk + chunk.replace('"delta":{"role":"assistant","content":"Hi"},"finish_reason":null', '"delta":{},"finish_reason":"stop"') + 'data: [DONE]\n\n',
      );
      await exchange.endChunks();
    });
    primary.script(async (exchange) => {
      await exchange.startEventStream();
      exchange.close();
    });
    const early = await harness.chat({ model, stream: true });
    expect(await early.text()).toContain('[DONE]');
    expect(early.headers.get('x-omg-attempts')).toBe('2');
    primary.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(chunk);
      exchange.close();
    });
    const before = secondary.requests.length;
    const late = await harness.chat({ model, stream: true });
    const body = await late.text();
    expect(body).toContain('"code":"upstream_error"');
    expect(body).not.toContain('[DONE]');
    expect(secondary.requests).toHaveLength(before);
  });

  it('tells the client a rate limit only when every route is rate limited', async () => {
    primary.script((exchange) => exchange.respond(429, SERVER_ERROR, { 'retry-after': '7' }));
    secondary.once((exchange) => exchange.respond(429, SERVER_ERROR, { 'retry-after': '3' }));
    const response = await harness.chat({ model });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('3');
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_rate_limited' } });
  });

  it('opens a route after three failures in a row, asks no provider while all are open, and probes with one request', async () => {
    primary.script((exchange) => exchange.respond(503, SERVER_ERROR));
    for (let i = 0; i < 3; i++) {
      secondary.once((exchange) => exchange.respond(503, SERVER_ERROR));
      const failed = await harness.chat({ model });
      expect(failed.status).toBe(502);
      expect(failed.headers.get('x-should-retry')).toBe('false');
    }
    const calls = primary.requests.length + secondary.requests.length;
    const open = await harness.chat({ model });
    expect(open.status).toBe(503);
    expect(await open.json()).toMatchObject({ error: { code: 'no_backend_available' } });
    expect(Number(open.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(primary.requests.length + secondary.requests.length).toBe(calls);
    primary.script((exchange) => exchange.respond(200, answer('healed')));
    await waitFor(async () => (await harness.chat({ model })).status === 200, { what: 'the probe after the cooldown' });
  });

  it('says 504 when the last route did not answer in time', async () => {
    primary.script(() => undefined);
    secondary.once(() => undefined);
    const response = await harness.chat({ model });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_timeout', type: 'server_error' } });
  });
});

describe('the breaker of a route', () => {
  const CHUNK = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n`;
  const isOpen = async (routeId: string): Promise<boolean> => {
    const metrics = await (await fetch(`${harness.edge.url}/metrics`)).text();
    return new RegExp(`route_breaker_open\\{route="${routeId}"\\} 1`).test(metrics);
  };

  it('does not count what the client did wrong, a blocked prompt, or a client that left', async () => {
    const refusals = [
      '{"error":{"message":"bad value","type":"invalid_request_error","param":"seed","code":"invalid_value"}}',
      '{"error":{"message":"filtered","type":"invalid_request_error","param":"prompt","code":"content_filter"}}',
    ];
    for (const refusal of [...refusals, ...refusals]) {
      primary.script((exchange) => exchange.respond(400, refusal));
      expect((await harness.chat({ model })).status).toBe(400);
    }
    primary.script(() => undefined);
    for (let i = 0; i < 3; i++) {
      const before = primary.requests.length;
      const leaving = new AbortController();
      const left = harness.chat({ model }, {}, leaving.signal).catch(() => undefined);
      await waitFor(() => primary.requests.length > before, { what: 'the call to reach the provider' });
      leaving.abort();
      await left;
    }
    expect(await isOpen(primaryRoute)).toBe(false);
    primary.script((exchange) => exchange.respond(200, answer('still the first')));
    expect((await harness.chat({ model })).headers.get('x-omg-route')).toBe(primaryRoute);
  });

  it('does not count clients that leave in the middle of their streams', async () => {
    primary.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(CHUNK);
    });
    const left = () => harness.edge.logs.filter((line) => line['msg'] === 'request' && line['model'] === model && line['status'] === 499);
    for (let i = 1; i <= 3; i++) {
      const leaving = new AbortController();
      const stream = await harness.chat({ model, stream: true }, {}, leaving.signal);
      await stream.body!.getReader().read();
      leaving.abort();
      await waitFor(() => left().length === i, { what: 'the stream to end' });
    }
    expect(await isOpen(primaryRoute)).toBe(false);
  });

  it('is gone with its route: nothing reports a route as broken that the catalog does not have', async () => {
    primary.script((exchange) => exchange.respond(503, SERVER_ERROR));
    for (let i = 0; i < 3; i++) expect((await harness.chat({ model })).status).toBe(200);
    await waitFor(() => isOpen(primaryRoute), { what: 'the breaker to be open' });
    await harness.putModel(model, [chatRoute(`${secondary.origin}/v1`, { id: secondaryRoute })]);
    await waitFor(async () => !(await isOpen(primaryRoute)), { what: 'the route to be forgotten' });
    await harness.putModel(model, [chatRoute(`${primary.origin}/v1`, { id: primaryRoute })]);
    primary.script((exchange) => exchange.respond(200, answer('new again')));
    await waitFor(async () => (await harness.chat({ model })).headers.get('x-omg-route') === primaryRoute, { what: 'the route to serve' });
    await harness.remove(configKey.model(model));
    await waitFor(async () => !(await (await fetch(`${harness.edge.url}/metrics`)).text()).includes(primaryRoute), { what: 'the model to be forgotten' });
  });

  it('counts streams that broke off after their first chunk, each once, and no other route of the alias', async () => {
    primary.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(CHUNK);
      exchange.close();
    });
    for (let i = 0; i < 3; i++) {
      expect(await isOpen(primaryRoute)).toBe(false);
      const broken = await harness.chat({ model, stream: true });
      expect(broken.headers.get('x-omg-attempts')).toBe('1');
      expect(await broken.text()).toContain('"code":"upstream_error"');
    }
    await waitFor(() => isOpen(primaryRoute), { what: 'the breaker to be open' });
    expect(await isOpen(secondaryRoute)).toBe(false);
    expect((await harness.chat({ model })).headers.get('x-omg-route')).toBe(secondaryRoute);
  });
});

describe('what reaches the provider', () => {
  it("is the client's body byte for byte, but for the model's name", async () => {
    primary.script((exchange) => exchange.respond(200, answer('ok')));
    const body = `{ "messages":[{"role":"user","content":"\\u00e9 1e400"}],"seed":12345678901234567890,"temperature":0.0, "model" : "${model}","x_unknown":{"a":[1.50]}}`;
    const response = await harness.post('/v1/chat/completions', body);
    expect(response.status).toBe(200);
    expect((await response.json()) as object).toMatchObject({ model });
    expect(primary.requests.at(-1)!.body.toString()).toBe(body.replace(`"${model}"`, '"upstream-model"'));
  });

  it('is the same for every spelling of the model, and the answer names it as the catalog does', async () => {
    primary.script((exchange) => exchange.respond(200, answer('ok')));
    const response = await harness.chat({ model: ` ${model.toUpperCase()} ` });
    expect([response.status, ((await response.json()) as { model: string }).model]).toEqual([200, model]);
    expect(JSON.parse(primary.requests.at(-1)!.body.toString())).toMatchObject({ model: 'upstream-model' });
  });

  it("never holds the client's key, cookies or hop headers", async () => {
    primary.script((exchange) => exchange.respond(200, answer('ok')));
    await harness.chat({ model }, { cookie: 'session=1', 'x-secret': 'x' });
    const { headers } = primary.requests.at(-1)!;
    expect(JSON.stringify(headers)).not.toContain(harness.authorization.slice('Bearer '.length));
    expect(headers).not.toHaveProperty('cookie');
    expect(headers).not.toHaveProperty('x-secret');
  });
});
