import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { budgetWindow, nanoUsdFromUsd } from '@omg/domain';
import type { RedisClient, RedisLedgerStore } from '@omg/storage';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream, type UpstreamExchange } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';
import { openLedger } from '../testing/open-ledger.js';

/** A first attempt that fails and is billed all the same, and what its budget lets the gateway do after it. */

let harness: EdgeHarness;
let failing: FakeUpstream;
let answering: FakeUpstream;
let redis: RedisClient;
let ledger: RedisLedgerStore;
let model: string;

const [INPUT_NANO, OUTPUT_NANO] = [500n, 1_500n];
const PROMPT_TOKENS = 5;
const LIMIT_NANO = 150_000n;

const costNano = (outputTokens: number): bigint => BigInt(PROMPT_TOKENS) * INPUT_NANO + BigInt(outputTokens) * OUTPUT_NANO;
const outputAllowed = ({ request }: UpstreamExchange): number => (JSON.parse(request.body.toString()) as { max_tokens: number }).max_tokens;
const usage = (completion_tokens: number) => ({ prompt_tokens: PROMPT_TOKENS, completion_tokens });
/** Fails after so much output, and says that it counted it. */
const failAfter = (outputTokens: (allowed: number) => number) => (exchange: UpstreamExchange) =>
  exchange.respond(500, JSON.stringify({ error: { message: 'gone', type: 'server_error' }, usage: usage(outputTokens(outputAllowed(exchange))) }));

/** Each test has a limit of its own: by it the edge is seen to use the new budget. */
async function budget(change: { limitNano: bigint; enforcement: 'strict' | 'estimate' }): Promise<void> {
  await harness.putTenant({ budget: { limitNano: String(change.limitNano), enforcement: change.enforcement } });
  // Each test begins with a budget of which nothing is spent, and the recorder's word for it.
  await redis.flushdb();
  const { id: windowId, endMs: windowEndMs } = budgetWindow('calendar_month', 'UTC', Date.now());
  await ledger.seed(harness.tenantId, [{ scope: 'tenant', windowId, windowEndMs, spentNano: 0n, version: 1n }]);
  const usd = String(Number(change.limitNano) / 1e9);
  await waitFor(async () => (await harness.chat({ model: 'nope' })).headers.get('x-budget-limit-usd') === usd, { what: 'the budget to reach the edge' });
}

beforeAll(async () => {
  failing = await startFakeUpstream();
  // Writes as much as it may.
  answering = await startFakeUpstream((exchange) => exchange.respond(200, JSON.stringify(chatAnswer(usage(outputAllowed(exchange))))));
  harness = await startEdge({ config: { ROUTER_EDGE_RETRY_BUDGET_RATIO: '1' } });
  ({ redis, ledger } = openLedger(harness.redisUrl));
});

afterAll(cleanUp);

beforeEach(async () => {
  model = `m-${randomUUID().slice(0, 8)}`;
  await harness.putModel(model, [
    chatRoute(`${failing.origin}/v1`, { weight: 1_000_000, settings: { base_url: `${failing.origin}/v1` } }),
    chatRoute(`${answering.origin}/v1`, { weight: 1, settings: { base_url: `${answering.origin}/v1` } }),
  ]);
});

const totalNano = (response: Response): bigint => nanoUsdFromUsd(response.headers.get('x-budget-total-usd')!);

describe('a budget with strict enforcement', () => {
  it('is not passed by all attempts of a call together: the next one writes only what is left to pay for', async () => {
    await budget({ limitNano: LIMIT_NANO, enforcement: 'strict' });
    failing.script(failAfter((allowed) => Math.floor(allowed / 2)));
    const response = await harness.chat({ model, max_tokens: 500 });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-omg-attempts')).toBe('2');
    const { usage: counted } = (await response.json()) as { usage: { completion_tokens: number } };
    expect(counted.completion_tokens).toBeGreaterThan(1);
    expect(totalNano(response)).toBeGreaterThan(costNano(counted.completion_tokens));
    expect(totalNano(response)).toBeLessThanOrEqual(LIMIT_NANO);
  });

  it('that a billed attempt has used up lets no other attempt be made: the call ends with the error of its provider', async () => {
    await budget({ limitNano: LIMIT_NANO, enforcement: 'strict' });
    failing.script(failAfter((allowed) => allowed));
    const calls = answering.requests.length;
    const response = await harness.chat({ model, max_tokens: 500 });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_error' } });
    expect(answering.requests).toHaveLength(calls);
    expect(totalNano(response)).toBeGreaterThan(costNano(1));
    expect(totalNano(response)).toBeLessThanOrEqual(LIMIT_NANO);
    expect((await harness.chat({ model, max_tokens: 500 })).status).toBe(403);
  });

  it('pays for the whole of the next attempt where there is room', async () => {
    await budget({ limitNano: 100n * LIMIT_NANO, enforcement: 'strict' });
    failing.script(failAfter((allowed) => allowed));
    const response = await harness.chat({ model, max_tokens: 500 });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ usage: { completion_tokens: 500 } });
    expect(totalNano(response)).toBe(2n * costNano(500));
  });
});

describe('a budget with estimates', () => {
  it('holds what the next attempt may cost beside what the billed one has cost', async () => {
    await budget({ limitNano: 200n * LIMIT_NANO, enforcement: 'estimate' });
    failing.script(failAfter((allowed) => allowed));
    let heldNano: bigint | undefined;
    answering.once(async (exchange) => {
      heldNano = (await ledger.inspect(harness.tenantId)).budgets[0]!.openNano;
      await exchange.respond(200, JSON.stringify(chatAnswer(usage(outputAllowed(exchange)))));
    });
    const response = await harness.chat({ model, max_tokens: 500 });
    expect(response.status).toBe(200);
    expect(heldNano).toBeGreaterThanOrEqual(2n * costNano(500));
    expect(totalNano(response)).toBe(2n * costNano(500));
  });

  it('that is used up lets no other attempt be made', async () => {
    await budget({ limitNano: costNano(100), enforcement: 'estimate' });
    failing.script(failAfter((allowed) => allowed));
    const calls = answering.requests.length;
    expect((await harness.chat({ model, max_tokens: 500 })).status).toBe(502);
    expect(answering.requests).toHaveLength(calls);
  });
});
