import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { connect, type Socket } from 'node:net';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

/** Bodies of at most 1 MiB, and 2 MiB for all of them together. */

let harness: EdgeHarness;
let upstream: FakeUpstream;

const MIB = 1024 * 1024;
const PART = 700 * 1024;
const ANSWER = JSON.stringify(chatAnswer());

beforeAll(async () => {
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, ANSWER));
  harness = await startEdge({ config: { ROUTER_SERVER_BODY_LIMIT_MB: '1', ROUTER_EDGE_BODY_MEMORY_MB: '2' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

interface Sender {
  socket: Socket;
  /** What the gateway has answered so far. */
  answer: () => string;
}

/** A request of which the head and `bytes` of its body are sent, and no more. */
async function send(bytes: number, framing: 'Content-Length: 1048576' | 'Transfer-Encoding: chunked'): Promise<Sender> {
  const { hostname, port } = new URL(harness.edge.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (part: Buffer) => (answer += part.toString('latin1')));
  socket.on('error', () => undefined);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: ${harness.authorization}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
  const size = framing === 'Transfer-Encoding: chunked' ? `${MIB.toString(16)}\r\n` : '';
  await new Promise((resolve) => socket.write(Buffer.concat([Buffer.from(head + size), Buffer.alloc(bytes, ' ')]), resolve));
  return { socket, answer: () => answer };
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${harness.edge.url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`open_model_gateway_${name} `))
      ?.split(' ')[1] ?? 0,
  );
}

const inMemory = (bytes: number) => waitFor(async () => (await metric('request_body_bytes')) === bytes, { what: `${bytes} bytes of bodies in memory` });

describe('the memory of request bodies', () => {
  it.each(['Content-Length: 1048576', 'Transfer-Encoding: chunked'] as const)(
    'has a bound for all of them together: the body that passes it is 503, others are served, and what ends makes room (%s)',
    async (framing) => {
      const refusedBefore = await metric('refusals_total{code="overloaded"}');
      const held = await Promise.all([send(PART, framing), send(PART, framing)]);
      await inMemory(2 * PART);
      const tooMany = await send(PART, framing);
      await waitFor(() => tooMany.answer().includes('"code":"overloaded"'), { what: 'the refusal' });
      expect(tooMany.answer()).toMatch(/^HTTP\/1.1 503 /);
      expect(tooMany.answer().toLowerCase()).toContain('\r\nretry-after: 1\r\n');
      expect(await metric('refusals_total{code="overloaded"}')).toBe(refusedBefore + 1);
      await inMemory(2 * PART);
      expect((await harness.chat()).status).toBe(200);
      tooMany.socket.destroy();
      held[0]!.socket.destroy();
      await inMemory(PART);
      expect((await harness.chat({ user: 'x'.repeat(PART) })).status).toBe(200);
      held[1]!.socket.destroy();
      await inMemory(0);
    },
  );

  it('is not taken by what was only announced', async () => {
    const idle = await Promise.all(Array.from({ length: 8 }, () => send(1, 'Content-Length: 1048576')));
    await inMemory(8);
    expect((await harness.chat({ user: 'x'.repeat(PART) })).status).toBe(200);
    for (const { socket } of idle) socket.destroy();
    await inMemory(0);
  });

  it('refuses at once what is announced to be more than the room there is', async () => {
    const held = await Promise.all([send(PART, 'Content-Length: 1048576'), send(PART, 'Content-Length: 1048576')]);
    await inMemory(2 * PART);
    const refused = await send(0, 'Content-Length: 1048576');
    await waitFor(() => refused.answer().includes('"code":"overloaded"'), { what: 'the refusal' });
    for (const { socket } of [...held, refused]) socket.destroy();
    await inMemory(0);
  });

  it('is held until the request is over, since another route may need the body', async () => {
    let answer: () => Promise<void> = () => Promise.resolve();
    upstream.once((exchange) => void (answer = () => exchange.respond(200, ANSWER)));
    const calls = upstream.requests.length;
    const running = harness.chat({ user: 'x'.repeat(PART) });
    await waitFor(() => upstream.requests.length > calls, { what: 'the call to reach the provider' });
    expect(await metric('request_body_bytes')).toBeGreaterThan(PART);
    await answer();
    expect((await running).status).toBe(200);
    await inMemory(0);
  });
});
