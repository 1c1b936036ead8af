import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge({ config: { ROUTER_SERVER_STREAM_IDLE_TIMEOUT: '2s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
}, 60_000);

afterAll(cleanUp);

describe('a whole answer', () => {
  it('is not kept for a client that does not read it: the connection is closed, and the memory free', async () => {
    upstream.once((exchange) => exchange.respond(200, { ...chatAnswer(), padding: 'x'.repeat(32 * 1024 * 1024) }));
    const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] });
    const socket = connect(harness.edge.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const head = ['POST /v1/chat/completions HTTP/1.1', 'host: edge', `authorization: ${harness.authorization}`, 'content-type: application/json'];
    socket.write(`${[...head, `content-length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
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
  }, 30_000);
});
