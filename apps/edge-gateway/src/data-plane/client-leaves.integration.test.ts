import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { UsageEvent } from '@omg/contracts';
import { connectNats, subscribeToUsage } from '@omg/storage';
import { addCleanup, cleanUp, startFakeUpstream, startRedis, waitFor, type FakeUpstream, type RunningService } from '@omg/testkit';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;
let redis: RunningService;
const told: UsageEvent[] = [];

const EVENTS = [{ delta: { content: 'word' } }, { delta: {}, finish_reason: 'stop' }].map((choice) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, ...choice }],
}));

beforeAll(async () => {
  redis = await startRedis();
  upstream = await startFakeUpstream();
  harness = await startEdge({ config: { ROUTER_REDIS_URL: redis.url, ROUTER_EDGE_REDIS_TIMEOUT: '5s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
  const nats = connectNats({ url: harness.nats.url }, { name: 'client-leaves-test' });
  addCleanup(() => nats.close());
  await subscribeToUsage(await nats.connected(), ({ payload }) => {
    told.push(...(JSON.parse(Buffer.from(payload).toString('utf8')) as { events: UsageEvent[] }).events);
  });
});

afterAll(cleanUp);

async function inFlight(): Promise<number> {
  const text = await (await fetch(`${harness.edge.url}/metrics`)).text();
  return Number(/_requests_in_flight (\d+)/.exec(text)![1]);
}

const logged = (status: number) => harness.edge.logs.filter((line) => line['msg'] === 'request' && line['status'] === status);

describe('a client that leaves', () => {
  it('before its request was sent to any provider pays nothing, and no provider is called', async () => {
    const leaving = new AbortController();
    redis.pause();
    const call = harness.chat({}, {}, leaving.signal).catch(() => undefined);
    await waitFor(async () => (await inFlight()) === 1, { what: 'the request to wait for Redis' });
    leaving.abort();
    await call;
    // Two turns of the edge: it has seen the connection close.
    await inFlight();
    await inFlight();
    redis.resume();
    await waitFor(() => logged(499).length === 1, { what: 'the request to end' });
    expect(upstream.requests).toHaveLength(0);
    expect(logged(499)[0]).toMatchObject({ attempts: 0 });
    // What comes after it on the bus tells that nothing was told of it.
    upstream.once((exchange) => exchange.respondEvents(EVENTS));
    expect(await (await harness.chat({ stream: true })).text()).toContain('[DONE]');
    await waitFor(() => told.length > 0, { what: 'the usage of the next call' });
    expect(told.map(({ status }) => status)).toEqual([200]);
  });
});
