import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

const ANSWER = JSON.stringify(chatAnswer());

beforeAll(async () => {
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, ANSWER));
  harness = await startEdge({ config: { ROUTER_RETENTION_ZERO_RETENTION: 'true' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

it('under zero retention an idempotency key keeps two calls from running at once, and no answer is stored', async () => {
  const key = { 'idempotency-key': randomUUID() };
  let release: () => Promise<void> = () => Promise.resolve();
  upstream.once((exchange) => void (release = () => exchange.respond(200, ANSWER)));
  const running = harness.chat({}, key);
  await waitFor(() => upstream.requests.length === 1, { what: 'the first call upstream' });
  expect((await harness.chat({}, key)).status).toBe(409);
  await release();
  expect((await running).status).toBe(200);
  const again = await harness.chat({}, key);
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, null]);
  expect(upstream.requests).toHaveLength(2);
});
