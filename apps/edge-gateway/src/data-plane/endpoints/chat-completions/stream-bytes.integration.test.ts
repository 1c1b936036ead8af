import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { readFileSync } from 'node:fs';
import { chatRoute, startEdge, type EdgeHarness } from '../../../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge({ config: { ROUTER_SERVER_STREAM_IDLE_TIMEOUT: '5s', ROUTER_HEALTH_FAILURE_THRESHOLD: '100' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

const CHUNK = { id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG', object: 'chat.completion.chunk', created: 1741570283, model: 'gpt-4.1-2025-04-14' };
const chunkOf = (delta: object, finish: string | null = null): string =>
  JSON.stringify({ ...CHUNK, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
const WORDS = ['Grüße', ' aus', ' 東京', ' 🗼', '!'];
const EVENTS = [chunkOf({ role: 'assistant', content: '' }), ...WORDS.map((content) => chunkOf({ content })), chunkOf({}, 'stop')];

/** Reads a stream as a client would: events by the SSE specification, text from the deltas. */
function textOf(body: string): { text: string; done: boolean; error: { code: string } | undefined } {
  const data = body
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6));
  const events = data.filter((d) => d !== '[DONE]').map((d) => JSON.parse(d) as { choices?: { delta: { content?: string } }[]; error?: { code: string } });
  return {
    text: events.map((event) => event.choices?.[0]?.delta.content ?? '').join(''),
    done: data.at(-1) === '[DONE]',
    error: events.find((event) => event.error)?.error,
  };
}

async function streamed(): Promise<{ status: number; body: string }> {
  const response = await harness.chat({ stream: true });
  return { status: response.status, body: await response.text() };
}

describe('a streamed answer', () => {
  it('survives a cut at every byte, with LF, CRLF and CR, comments and multi-line data', async () => {
    const encodings = [
      EVENTS.map((event) => `data: ${event}\n\n`).join('') + 'data: [DONE]\n\n',
      `: ping - 2026-11-23\r\n\r\n${EVENTS.map((event) => `data:${event}\r\n\r\n`).join(': keep-alive\r\n\r\n')}data: [DONE]\r\n\r\n`,
      EVENTS.map((event) => `event: message\rdata: ${event.replace('"choices"', '\rdata: "choices"')}\r\r`).join('') + 'data: [DONE]\r\r',
    ].map((text) => Buffer.from(text, 'utf8'));
    for (const bytes of encodings) {
      const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
      // Twelve streams at a time; every position of every encoding is cut once.
      for (let from = 0; from < cuts.length; from += 12) {
        const answers = await Promise.all(
          cuts.slice(from, from + 12).map((cut) => {
            upstream.once(async (exchange) => {
              await exchange.startEventStream();
              await exchange.chunk(bytes.subarray(0, cut));
              await exchange.chunk(bytes.subarray(cut));
              await exchange.endChunks();
            });
            return streamed();
          }),
        );
        for (const { status, body } of answers) {
          expect(status).toBe(200);
          expect(body).not.toMatch(/^:/m);
          expect(textOf(body)).toEqual({ text: WORDS.join(''), done: true, error: undefined });
        }
      }
    }
  });

  it('passes an event of one mebibyte', async () => {
    const large = 'x'.repeat(1024 * 1024 - 400);
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      for (const event of [chunkOf({ role: 'assistant', content: large }), chunkOf({}, 'stop')]) await exchange.chunk(`data: ${event}\n\n`);
      await exchange.chunk('data: [DONE]\n\n');
      await exchange.endChunks();
    });
    const { body } = await streamed();
    expect(textOf(body)).toEqual({ text: large, done: true, error: undefined });
  });

  it.each([
    ['resets the connection', (exchange: { reset(): void; close(): void }) => exchange.reset()],
    ['closes the connection in an orderly way', (exchange: { reset(): void; close(): void }) => exchange.close()],
  ])('ends with one error frame and without [DONE] when the provider dies in mid-event: it %s', async (_how, die) => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      for (const event of EVENTS.slice(0, 3)) await exchange.chunk(`data: ${event}\n\n`);
      await exchange.chunk(`data: ${EVENTS[3]!.slice(0, 40)}`);
      die(exchange);
    });
    const { status, body } = await streamed();
    expect(status).toBe(200);
    const { text, done, error } = textOf(body);
    expect(text).toBe('Grüße aus');
    expect(done).toBe(false);
    expect(error?.code).toBe('upstream_error');
  });

  it('ends with an error frame when the provider stops without a finish reason', async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      for (const event of EVENTS.slice(0, 3)) await exchange.chunk(`data: ${event}\n\n`);
      await exchange.endChunks();
    });
    const { done, error } = textOf((await streamed()).body);
    expect(done).toBe(false);
    expect(error?.code).toBe('upstream_error');
  });

  it("tells the provider's error in the stream as one of ours", async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(`data: ${EVENTS[0]}\n\ndata: ${EVENTS[1]}\n\n`);
      await exchange.chunk('data: {"error":{"message":"secret internals of gpu-7","type":"server_error","param":null,"code":null}}\n\n');
      await exchange.endChunks();
    });
    const { body } = await streamed();
    expect(textOf(body).error?.code).toBe('upstream_error');
    expect(body).not.toContain('gpu-7');
  });

  it('ends with a timeout when the provider falls silent', async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(`data: ${EVENTS[0]}\n\ndata: ${EVENTS[1]}\n\n`);
    });
    const { text, error } = textOf((await streamed()).body);
    expect(text).toBe('Grüße');
    expect(error?.code).toBe('upstream_timeout');
  });

  it('keeps memory bounded while the client reads one kilobyte a second', async () => {
    const total = 64 * 1024 * 1024;
    const event = Buffer.from(`data: ${chunkOf({ content: 'y'.repeat(16 * 1024) })}\n\n`);
    let sent = 0;
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      while (sent < total && (await exchange.chunk(event))) sent += event.length;
    });
    const before = residentBytes(harness.edge.pid);
    const response = await open(`${harness.edge.url}/v1/chat/completions`, harness.authorization);
    response.pause();
    let read = 0;
    const slow = setInterval(() => {
      const piece = response.read(1024) as Buffer | null;
      read += piece?.length ?? 0;
    }, 1000);
    // The provider is held back long before it has sent everything.
    let last = -1;
    await waitFor(() => (sent === last && sent > 0 ? true : ((last = sent), false)), {
      intervalMs: 250,
      what: 'backpressure to reach the provider',
    });
    expect(sent).toBeLessThan(total / 4);
    expect(residentBytes(harness.edge.pid) - before).toBeLessThan(48 * 1024 * 1024);
    clearInterval(slow);
    response.destroy();
    expect(read).toBeLessThan(16 * 1024);
  });
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

function open(url: string, authorization: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', headers: { authorization, 'content-type': 'application/json' } }, resolve);
    request.on('error', reject);
    request.end(JSON.stringify({ model: 'chat', stream: true, messages: [{ role: 'user', content: 'Hello' }] }));
  });
}
