import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startOtlpReceiver, startStack, TEST_KEY, waitFor, type OtlpReceiver, type ReceivedSpan, type RunningApp, type TestStack } from '@omg/testkit';
import { Redis } from 'ioredis';
import pg from 'pg';

const CANARY = 'canary-5f1c9e-prompt';
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

let stack: TestStack;
let receiver: OtlpReceiver;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  stack = await startStack({
    config: { observability: { enable_otlp: true, otlp_endpoint: receiver.endpoint, trace_sample_ratio: 0, log_level: 'debug' } },
  });
}, 120_000);
afterAll(cleanUp);

const apps = (): RunningApp[] => [stack.edge, stack.admin, stack.recorder, stack.monitor];
const chat = (body: object, headers: Record<string, string> = {}, key = TEST_KEY) =>
  fetch(`${stack.edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ model: 'test-chat', messages: [{ role: 'user', content: CANARY }], ...body }),
  });
const spansOf = (traceId: string): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId);

async function usageRows(): Promise<number> {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM requests');
  await client.end();
  return Number(rows[0]!.n);
}

describe('a traced request', () => {
  it('is one trace at the collector, from the client over the provider call to the row in Postgres', async () => {
    const response = await chat({}, { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` });
    expect(response.status).toBe(200);
    await response.text();
    await waitFor(() => spansOf(TRACE_ID).length >= 4, { timeoutMs: 20_000, what: 'the spans of edge and recorder' });
    const [root, call, process, commit] = ['POST /v1/chat/completions', 'chat demo-chat', 'process USAGE', 'commit usage'].map((name) =>
      spansOf(TRACE_ID).find((span) => span.name === name)!,
    );
    expect(root).toMatchObject({
      service: 'edge-gateway',
      parentSpanId: '00f067aa0ba902b7',
      attributes: { 'http.response.status_code': 200, 'gen_ai.request.model': 'test-chat' },
    });
    expect(call).toMatchObject({
      service: 'edge-gateway',
      parentSpanId: root!.spanId,
      attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai-compatible' },
    });
    expect(call!.attributes['gen_ai.usage.input_tokens']).toBeGreaterThan(0);
    expect(process).toMatchObject({ service: 'usage-recorder', parentSpanId: root!.spanId });
    expect(commit).toMatchObject({ service: 'usage-recorder', parentSpanId: process!.spanId });
    expect(process!.attributes['omg.usage.id']).toBe(root!.attributes['omg.usage.id']);
  });

  it('without a sampled parent and outside the ratio makes no span', async () => {
    const before = receiver.spans.length;
    await (await chat({})).text();
    await (await chat({}, { traceparent: `00-${TRACE_ID.replace('4', '5')}-00f067aa0ba902b7-00` })).text();
    await waitFor(async () => (await usageRows()) >= 3);
    expect(receiver.spans.length).toBe(before);
  });
});

describe('a canary', () => {
  it('in prompts, answers and keys shows in no log, span, metric, row or stored value', async () => {
    const secret = 'canary-5f1c9e-secret';
    await (await chat({ stream: true }, { traceparent: `00-${TRACE_ID.replace('4', '6')}-00f067aa0ba902b7-01` })).text();
    await (await chat({}, {}, `sk-test.${secret}`)).text();
    await (await chat({ model: 'nope' })).text();
    await (await chat({ messages: CANARY })).text();
    await (
      await fetch(`${stack.admin.url}/admin/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'admin@test.example', password: secret }),
      })
    ).text();
    await waitFor(async () => (await usageRows()) >= 4);
    await waitFor(() => spansOf(TRACE_ID.replace('4', '6')).length >= 4, { timeoutMs: 20_000 });
    const places: Record<string, string> = { spans: JSON.stringify(receiver.spans) };
    for (const app of apps()) {
      places[`log of ${app.app}`] = JSON.stringify(app.logs) + app.rawOutput.join('\n');
      places[`metrics of ${app.app}`] = await (await fetch(`${app.url}/metrics`)).text();
    }
    places['postgres'] = await dumpPostgres();
    places['redis'] = await dumpRedis();
    for (const [place, text] of Object.entries(places)) {
      expect(text.length).toBeGreaterThan(0);
      expect([place, text.includes('canary-5f1c9e')]).toEqual([place, false]);
    }
  });
});

async function dumpPostgres(): Promise<string> {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  const tables = await client.query<{ name: string }>(`SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`);
  const texts: string[] = [];
  for (const { name } of tables.rows) texts.push(JSON.stringify((await client.query(`SELECT t::text AS row FROM ${name} t`)).rows));
  await client.end();
  return texts.join('\n');
}

async function dumpRedis(): Promise<string> {
  const client = new Redis(stack.redisUrl);
  const texts: string[] = [];
  for await (const keys of client.scanStream({ count: 500 })) {
    for (const key of keys as string[]) texts.push(key, (await client.dumpBuffer(key))?.toString('latin1') ?? '');
  }
  client.disconnect();
  return texts.join('\n');
}
