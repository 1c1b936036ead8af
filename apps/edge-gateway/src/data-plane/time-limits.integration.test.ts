import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { connect } from 'node:net';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

const SYNC_MS = 4_500;
const CHUNK =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n';

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge({
    config: {
      // Long enough for what is to come in time on a busy machine.
      ROUTER_SERVER_READ_HEADER_TIMEOUT: '3s',
      ROUTER_SERVER_SYNC_TIMEOUT: `${SYNC_MS}ms`,
      ROUTER_SERVER_PROVIDER_TIMEOUT: '3s',
      ROUTER_SERVER_STREAM_MAX_DURATION: '3s',
      ROUTER_SERVER_STREAM_IDLE_TIMEOUT: '3s',
      ROUTER_HEALTH_FAILURE_THRESHOLD: '100',
      ROUTER_EDGE_RETRY_BUDGET_RATIO: '1',
    },
  });
  const route = () => chatRoute(`${upstream.origin}/v1`);
  await harness.putModel('chat', [route(), route(), route(), route()]);
});

afterAll(cleanUp);

describe('time limits', () => {
  it('the whole request ends within its limit, however many routes could still be tried', async () => {
    const startedAt = performance.now();
    const response = await harness.chat();
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_timeout' } });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SYNC_MS - 10);
    // One whole attempt and half of the next one, not four.
    expect(upstream.requests.length).toBeLessThanOrEqual(2);
    await waitFor(() => upstream.exchanges.every((exchange) => exchange.aborted), { what: 'the upstream calls to be cancelled' });
  });

  it('a body that trickles in is answered 408 and let go, however long its client would go on', async () => {
    const { hostname, port } = new URL(harness.edge.url);
    const socket = connect(Number(port), hostname);
    const startedAt = performance.now();
    let answer = '';
    socket.on('data', (part: Buffer) => (answer += part.toString('latin1'))).on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: ${harness.authorization}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n`,
    );
    const trickle = setInterval(() => socket.write(' '), 50);
    await closed;
    clearInterval(trickle);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SYNC_MS - 10);
    const metrics = async (): Promise<string> => (await fetch(`${harness.edge.url}/metrics`)).text();
    await waitFor(async () => (await metrics()).includes('request_body_bytes 0\n'), { what: 'the memory of its body to be free' });
  });

  it('a stream that goes on for ever is ended by one error frame, without [DONE], and the provider call with it', async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(CHUNK);
      const more = setInterval(() => void exchange.chunk(CHUNK), 50);
      await waitFor(() => exchange.aborted, { what: 'the gateway to end the call' }).finally(() => clearInterval(more));
    });
    const response = await harness.chat({ stream: true });
    expect(response.status).toBe(200);
    const body = await response.text();
    expect(body).toContain('word ');
    expect(body).toContain('"code":"upstream_timeout"');
    expect(body).not.toContain('[DONE]');
    await waitFor(() => upstream.exchanges.at(-1)!.aborted, { what: 'the upstream call to be cancelled' });
  });
});
