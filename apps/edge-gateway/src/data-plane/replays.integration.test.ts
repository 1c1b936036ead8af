import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, type FakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

const MIB = 1024 * 1024;
let harness: EdgeHarness;
let upstream: FakeUpstream;

beforeAll(async () => {
  upstream = await startFakeUpstream();
  harness = await startEdge({ config: { ROUTER_EDGE_IDEMPOTENCY_MEMORY_MB: '8' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

/** A call whose answer has so many bytes of padding; whether it was replayed. */
async function call(key: string, paddingBytes: number): Promise<{ status: number; replayed: boolean; text: string; headers: Headers }> {
  upstream.script((exchange) => exchange.respond(200, { ...chatAnswer(), padding: 'x'.repeat(paddingBytes) }));
  const response = await harness.chat({}, { 'idempotency-key': key });
  return { status: response.status, replayed: response.headers.has('idempotency-replayed'), text: await response.text(), headers: response.headers };
}

describe('answers that are kept for a replay', () => {
  it('take a bounded part of Redis: one that finds no room is not kept, and its key is free again', async () => {
    const [large, small] = [randomUUID(), randomUUID()];
    const first = await call(large, 3 * MIB);
    expect([first.status, first.replayed]).toEqual([200, false]);
    const again = await call(large, 3 * MIB);
    expect([again.status, again.replayed, again.text]).toEqual([200, true, first.text]);
    const calls = upstream.requests.length;
    const crowdedOut = randomUUID();
    for (let time = 0; time < 2; time++) expect(await call(crowdedOut, 3 * MIB)).toMatchObject({ status: 200, replayed: false });
    expect(upstream.requests.length).toBe(calls + 2);
    // What still fits is kept.
    for (const replayed of [false, true]) expect(await call(small, 100)).toMatchObject({ status: 200, replayed });
  });

  it('are replayed as often as their bytes allow, and calls are served beside them', async () => {
    const key = randomUUID();
    const small = randomUUID();
    expect((await call(key, 0.5 * MIB)).status).toBe(200);
    const flood = await Promise.all(Array.from({ length: 320 }, () => harness.chat({}, { 'idempotency-key': key })));
    const answers = await Promise.all(flood.map(async (response) => ({ response, text: await response.text() })));
    const refused = answers.filter(({ response }) => response.status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(320);
    for (const { response, text } of refused) {
      expect(response.status).toBe(429);
      expect(Number(response.headers.get('retry-after-ms'))).toBeGreaterThan(0);
      expect(JSON.parse(text)).toMatchObject({ error: { code: 'rate_limit_exceeded', message: expect.stringContaining('replayed answers') } });
    }
    expect(await call(small, 0)).toMatchObject({ status: 200, replayed: false });
  });
});
