import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { addCleanup, cleanUp, startOtlpReceiver, startStack, TEST_KEY, waitFor, type OtlpReceiver, type ReceivedSpan, type TestStack } from '@omg/testkit';
import { createServer } from 'node:http';
import pg from 'pg';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

let stack: TestStack;
let receiver: OtlpReceiver;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  stack = await startStack({
    config: {
      observability: { enable_otlp: true, otlp_endpoint: receiver.endpoint, trace_sample_ratio: 0, log_level: 'debug' },
      // The first call warns somebody.
      budgets: { default_usd: 1000, warning_threshold_perc: 1e-12, alert: { enabled: true, webhooks: [await startWebhook()] } },
    },
  });
});
afterAll(cleanUp);

const chat = (body: object, headers: Record<string, string> = {}, key = TEST_KEY) =>
  fetch(`${stack.edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ model: 'test-chat', messages: [{ role: 'user', content: 'Hello!' }], ...body }),
  });
/** The spans of these names in the traced request, once the collector has them all: each service sends its own when it likes. */
const spansNamed = (...names: string[]): Promise<ReceivedSpan[]> =>
  waitFor(
    () => {
      const found = names.map((name) => receiver.spans.find((span) => span.traceId === TRACE_ID && span.name === name));
      return found.every((span) => span !== undefined) ? found : undefined;
    },
    { what: `the spans ${names.join(', ')}` },
  );

async function usageRows(): Promise<number> {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM requests');
  await client.end();
  return Number(rows[0]!.n);
}

let webhooksReceived = 0;

async function startWebhook(): Promise<string> {
  const server = createServer((request, response) => {
    webhooksReceived += 1;
    request.resume();
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(async () => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

describe('a traced request', () => {
  it('is one trace at the collector, from the client over the provider call to the row in Postgres', async () => {
    const response = await chat({}, { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` });
    expect(response.status).toBe(200);
    await response.text();
    const [root, call, process, commit] = await spansNamed('POST /v1/chat/completions', 'chat demo-chat', 'process USAGE', 'commit usage');
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

  it('goes on to the evaluation of the budget and the delivery of the alert that it raised', async () => {
    const [root, evaluation, delivery] = await spansNamed('POST /v1/chat/completions', 'evaluate budget', 'deliver alert');
    expect(evaluation).toMatchObject({ service: 'usage-recorder', parentSpanId: root!.spanId, attributes: { 'omg.alert.level': 'warning' } });
    expect(delivery).toMatchObject({
      service: 'usage-recorder',
      parentSpanId: evaluation!.spanId,
      attributes: { 'omg.alert.channel': 'webhook', 'omg.alert.attempts': 1, 'omg.alert.id': evaluation!.attributes['omg.alert.id'] },
    });
    expect(webhooksReceived).toBe(1);
  });

  it('without a sampled parent and outside the ratio makes no span', async () => {
    await (await chat({})).text();
    await (await chat({}, { traceparent: `00-${TRACE_ID.replace('4', '5')}-00f067aa0ba902b7-00` })).text();
    await waitFor(async () => (await usageRows()) >= 3);
    // More of the traced request may come all the time.
    expect(receiver.spans.filter((span) => span.traceId !== TRACE_ID)).toEqual([]);
  });
});
