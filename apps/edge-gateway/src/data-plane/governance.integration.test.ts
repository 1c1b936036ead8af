import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { budgetWindow } from '@omg/domain';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream, type UpstreamExchange } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';
import { openLedger } from '../testing/open-ledger.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

const ANSWER = JSON.stringify(chatAnswer({ prompt_tokens: 100, completion_tokens: 200 }));
/** 100 x 500 + 200 x 1500 nano-USD. */
const COST_NANO = 350_000n;
const plain = (exchange: UpstreamExchange): Promise<void> => exchange.respond(200, ANSWER);

beforeAll(async () => {
  upstream = await startFakeUpstream(plain);
  harness = await startEdge();
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

/** Waits until the edge uses the document that was just written. */
async function inForce(check: (response: Response) => boolean, what: string): Promise<void> {
  await waitFor(async () => check(await harness.chat({ model: 'nope' })), { what });
}

describe('rate limits', () => {
  it('show what is left on every answer and refuse with the exact wait', async () => {
    await harness.putKey({ limits: { requestsPerMinute: 5 } });
    let remaining = '';
    await waitFor(
      async () => {
        const response = await harness.chat();
        remaining = response.headers.get('x-ratelimit-remaining-requests')!;
        return response.headers.get('x-ratelimit-limit-requests') === '5';
      },
      { what: 'the limit to reach the edge' },
    );
    const calls = upstream.requests.length;
    for (let left = Number(remaining); left > 0; left--) expect((await harness.chat()).status).toBe(200);
    const refused = await harness.chat();
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ error: { code: 'rate_limit_exceeded', type: 'requests' } });
    const retryAfter = Number(refused.headers.get('retry-after'));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(61);
    expect(Number(refused.headers.get('retry-after-ms'))).toBeLessThanOrEqual(retryAfter * 1000);
    expect(refused.headers.get('x-budget-remaining-cents')).not.toBeNull();
    expect(upstream.requests.length - calls).toBe(Number(remaining));
    await harness.putKey({ id: randomUUID() });
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'another key' });
  });

  it('count the tokens that were really used, and never turn a finished answer into a refusal', async () => {
    await harness.putKey({ id: randomUUID(), limits: { tokensPerMinute: 500 } });
    await waitFor(async () => (await harness.chat()).headers.get('x-ratelimit-limit-tokens') === '500', { what: 'the limit' });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await harness.chat({ max_tokens: 1 })).status);
    // The first call above used 300; the next one is let in at 300 of 500 and ends at 600.
    expect(statuses).toEqual([200, 429, 429, 429]);
    const refused = await harness.chat({ max_tokens: 1 });
    expect(await refused.json()).toMatchObject({ error: { type: 'tokens', code: 'rate_limit_exceeded' } });
    await harness.putKey({ id: randomUUID() });
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'another key' });
  });

  it('free a place as soon as a call ends, whatever its end', async () => {
    await harness.putKey({ id: randomUUID(), limits: { parallelRequests: 1 } });
    const held: (() => Promise<void>)[] = [];
    upstream.script((exchange) => void held.push(() => exchange.respond(200, ANSWER)));
    /** Starts a call and resolves once it is refused or waits at the provider. */
    const start = async (signal?: AbortSignal): Promise<{ refused: boolean; ended: Promise<number | undefined> }> => {
      const before = held.length;
      let status: number | undefined;
      const ended = harness.chat({}, {}, signal).then(
        (response) => (status = response.status),
        () => undefined,
      );
      await waitFor(() => status !== undefined || held.length > before, { what: 'the call to be refused or to reach the provider' });
      return { refused: status === 429, ended };
    };
    const release = async (): Promise<void> => void (await Promise.all(held.splice(0).map((answer) => answer())));

    // In force: while one call runs the next one is refused; the first still ends well.
    await waitFor(
      async () => {
        const first = await start();
        const second = await start();
        await release();
        await Promise.all([first.ended, second.ended]);
        return !first.refused && second.refused;
      },
      { what: 'the parallel limit' },
    );
    // A client that leaves frees its place too.
    const leaving = new AbortController();
    const left = await start(leaving.signal);
    expect(left.refused).toBe(false);
    leaving.abort();
    await left.ended;
    await waitFor(
      async () => {
        const next = await start();
        await release();
        return (await next.ended) === 200;
      },
      { what: 'the place of the client that left' },
    );
    upstream.script(plain);
    await harness.putKey({ id: randomUUID() });
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'another key' });
  });
});

describe('idempotency', () => {
  it('replays the first answer for free, under its own request id', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const calls = upstream.requests.length;
    const first = await harness.chat({ temperature: 0.5, top_p: 1 }, key);
    const body = await first.text();
    const again = await harness.chat({ top_p: 1, temperature: 0.5 }, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.text()).toBe(body);
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
    expect(again.headers.get('x-budget-total-usd')).toBe(first.headers.get('x-budget-total-usd'));
    expect(upstream.requests.length - calls).toBe(1);
  });

  it('refuses the key for another body with 422 and while the first call runs with 409', async () => {
    const key = { 'idempotency-key': randomUUID() };
    let release: () => Promise<void> = () => Promise.resolve();
    upstream.once((exchange) => void (release = () => exchange.respond(200, ANSWER)));
    const calls = upstream.requests.length;
    const running = harness.chat({}, key);
    await waitFor(() => upstream.requests.length > calls, { what: 'the first call upstream' });
    const second = await harness.chat({}, key);
    expect(second.status).toBe(409);
    expect(await second.json()).toMatchObject({ error: { code: 'idempotency_key_in_use', type: 'idempotency_error' } });
    await release();
    expect((await running).status).toBe(200);
    const other = await harness.chat({ temperature: 1 }, key);
    expect(other.status).toBe(422);
    expect(await other.json()).toMatchObject({ error: { code: 'idempotency_key_reused' } });
  });

  it('lets a failed call be tried again under the same key', async () => {
    const key = { 'idempotency-key': randomUUID() };
    upstream.once((exchange) => exchange.respond(500, '{"error":{"message":"x","type":"server_error","param":null,"code":null}}'));
    expect((await harness.chat({}, key)).status).toBe(502);
    expect((await harness.chat({}, key)).status).toBe(200);
  });

  it('refuses a key that is no printable ASCII', async () => {
    expect((await harness.chat({}, { 'idempotency-key': 'x'.repeat(256) })).status).toBe(400);
  });
});

describe('budgets', () => {
  it('show their exact state, and where nobody can tell the committed total, a spent allowance is 503, not a used-up budget', async () => {
    // Room for two calls; no recorder runs here, so nobody seeds the total.
    await harness.putKey({ id: randomUUID(), quota: { limitNano: String(2n * COST_NANO), warningThreshold: 0.5 } });
    await inForce((response) => response.headers.get('x-budget-limit-usd') === '0.0007', 'the quota to reach the edge');
    const first = await harness.chat({ max_tokens: 1 });
    expect(first.status).toBe(200);
    expect(first.headers.get('x-budget-total-usd')).toBe('0.00035');
    expect(first.headers.get('x-budget-remaining-usd')).toBe('0.00035');
    expect(first.headers.get('x-budget-warning')).toBe('true');
    expect((await harness.chat({ max_tokens: 1 })).status).toBe(200);
    const calls = upstream.requests.length;
    const refused = await harness.chat({ max_tokens: 1 });
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'budget_store_unavailable' } });
    expect(refused.headers.get('x-budget-exceeded')).toBe('true');
    expect(upstream.requests).toHaveLength(calls);
  });

  it('with strict enforcement lend nothing while nobody can tell their committed total', async () => {
    await harness.putKey({ id: randomUUID() });
    await harness.putTenant({ budget: { limitNano: '77000000000', enforcement: 'strict' } });
    await inForce((response) => response.headers.get('x-budget-limit-usd') === '77', 'the budget to reach the edge');
    const calls = upstream.requests.length;
    const refused = await harness.chat({ max_tokens: 1 });
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([503, 'budget_store_unavailable']);
    expect(upstream.requests).toHaveLength(calls);
    await harness.putTenant({ budget: { limitNano: '77000000000', enforcement: 'estimate' } });
    await waitFor(async () => (await harness.chat({ max_tokens: 1 })).status === 200, { what: 'the allowance of a budget with estimates' });
    await harness.putTenant();
    await inForce((response) => response.headers.get('x-budget-limit-usd') === '1000', 'the default budget');
  });

  it('that are used up refuse with 403 that no SDK repeats, with their state, and without a provider call', async () => {
    const keyId = randomUUID();
    await harness.putKey({ id: keyId, quota: { limitNano: String(4n * COST_NANO), warningThreshold: 0.5 } });
    await inForce((response) => response.headers.get('x-budget-limit-usd') === '0.0014', 'the quota to reach the edge');
    const { ledger } = openLedger(harness.redisUrl);
    const window = budgetWindow('calendar_month', 'UTC', Date.now());
    const total = { windowId: window.id, windowEndMs: window.endMs };
    // What the recorder does when it is asked: the tenant has spent nothing, the key all but half a call.
    await ledger.seed(harness.tenantId, [
      { ...total, scope: 'tenant', spentNano: 0n, version: 1n },
      { ...total, scope: 'key', keyId, spentNano: 4n * COST_NANO - COST_NANO / 2n, version: 1n },
    ]);
    const last = await harness.chat();
    expect([last.status, last.headers.get('x-budget-exceeded')]).toEqual([200, 'true']);
    const calls = upstream.requests.length;
    const refused = await harness.chat();
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { type: 'insufficient_quota', code: 'budget_exceeded' } });
    expect(
      Object.fromEntries(
        ['x-should-retry', 'x-budget-exceeded', 'x-budget-remaining-usd', 'x-budget-limit-usd'].map((name) => [name, refused.headers.get(name)]),
      ),
    ).toEqual({
      'x-should-retry': 'false',
      'x-budget-exceeded': 'true',
      'x-budget-remaining-usd': '0',
      'x-budget-limit-usd': '0.0014',
    });
    expect(upstream.requests).toHaveLength(calls);
    await harness.putKey({ id: randomUUID() });
    await waitFor(async () => (await harness.chat()).status === 200, { what: 'another key' });
  });
});
