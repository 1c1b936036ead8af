import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { UsageEvent } from '@omg/contracts';
import { connectNats, subscribeToUsage } from '@omg/storage';
import { addCleanup, cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;
const told: UsageEvent[] = [];

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge({ config: { ROUTER_SERVER_STREAM_IDLE_TIMEOUT: '5s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  const nats = connectNats({ url: harness.nats.url }, { name: 'unread-answer-test' });
  addCleanup(() => nats.close());
  await subscribeToUsage(await nats.connected(), ({ payload }) => {
    told.push(...(JSON.parse(Buffer.from(payload).toString('utf8')) as { events: UsageEvent[] }).events);
  });
});

afterAll(cleanUp);

/** Sends a request whose answer has 32 MiB; nothing of it is read. */
function askWithoutReading(requestId: string): Socket {
  upstream.once((exchange) => exchange.respond(200, { ...chatAnswer(), padding: 'x'.repeat(32 * 1024 * 1024) }));
  const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] });
  const socket = connect(harness.edge.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const head = ['POST /v1/chat/completions HTTP/1.1', 'host: edge', `authorization: ${harness.authorization}`, 'content-type: application/json'];
  socket.write(`${[...head, `x-request-id: ${requestId}`, `content-length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

/** Log line and metrics tell how it ended for the client, the usage row what was made and billed. */
async function expectUnreadAnswer(requestId: string): Promise<void> {
  const line = await waitFor(() => harness.edge.logs.find((entry) => entry['msg'] === 'request' && entry['requestId'] === requestId));
  expect(line).toMatchObject({ status: 499, errorCode: 'client_closed_request', outputTokens: 10, usageSource: 'provider' });
  const row = await waitFor(() => told.find((event) => event.requestId === requestId));
  expect(row).toMatchObject({ status: 200, meters: { inputTokens: 19, outputTokens: 10 }, costNano: '24500' });
}

async function countedAs(status: number): Promise<number[]> {
  const text = await (await fetch(`${harness.edge.url}/metrics`)).text();
  const ofStatus = (line: string) => line.includes(`status="${status}"`);
  return ['http_requests_total{', 'api_request_duration_seconds_count{'].map((name) =>
    Number(
      text
        .split('\n')
        .find((line) => line.includes(name) && ofStatus(line))
        ?.split(' ')[1] ?? 0,
    ),
  );
}

describe('a whole answer', () => {
  it('is not kept for a client that does not read it: the connection is closed, and the memory free', async () => {
    const socket = askWithoutReading('unread');
    // Nobody reads: what the system's buffers do not take stays in the edge.
    await waitFor(() => socket.readableLength > 0, { what: 'the answer to be on its way' });
    let received = 0;
    let isClosed = false;
    socket.on('data', (piece: Buffer) => (received += piece.length)).pause();
    socket.on('close', () => (isClosed = true));
    const [edgePort, clientPort] = [harness.edge.port, socket.localPort!].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
    // Local address, remote address, state 01: established.
    const held = new RegExp(`:${edgePort} [0-9A-F]+:${clientPort} 01 `);
    const isHeld = () => held.test(readFileSync('/proc/net/tcp', 'utf8'));
    expect(isHeld()).toBe(true);
    await waitFor(() => !isHeld(), { what: 'the edge to close the connection' });
    socket.resume();
    await waitFor(() => isClosed, { what: 'the client to see it' });
    expect(received).toBeLessThan(32 * 1024 * 1024);
    await expectUnreadAnswer('unread');
  });

  it('is told as 499 when the client leaves in the middle of it, and stays billed whole', async () => {
    const before = await countedAs(499);
    const socket = askWithoutReading('left');
    await waitFor(() => socket.readableLength > 0, { what: 'the answer to be on its way' });
    socket.destroy();
    await expectUnreadAnswer('left');
    expect(await countedAs(499)).toEqual(before.map((count) => count + 1));
  });
});
