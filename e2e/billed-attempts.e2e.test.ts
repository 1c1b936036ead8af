import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, startStack, TEST_KEY, waitFor, type FakeUpstream, type TestStack, type UpstreamExchange } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import pg from 'pg';

/**
 * Every attempt that a provider billed is a usage row with the provider's own count at its own route's price, also when
 * another route gave the answer, or none did. Recorded bytes over real sockets, through real services, into Postgres.
 */
let stack: TestStack;
let first: FakeUpstream;
let second: FakeUpstream;
let db: pg.Client;

const SERVER_ERROR = { message: 'The server had an error', type: 'server_error', param: null, code: null };
const ANSWER = {
  id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
  object: 'chat.completion',
  created: 1741569952,
  model: 'gpt-4.1-2025-04-14',
  choices: [{ index: 0, message: { role: 'assistant', content: 'from the second', refusal: null }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 19, completion_tokens: 10, total_tokens: 29 },
};
const MESSAGE_START = {
  type: 'message_start',
  message: {
    id: 'msg_01KQ',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-4-5',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 20, cache_creation_input_tokens: 0, cache_read_input_tokens: 5, output_tokens: 1 },
  },
};
const event = (value: { type: string }): string => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const chunk = (value: object): string => `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', ...value })}\n\n`;
const json = (exchange: UpstreamExchange, status: number, body: object, headers: Record<string, string> = {}): Promise<void> =>
  exchange.respond(status, JSON.stringify(body), headers);

beforeAll(async () => {
  first = await startFakeUpstream();
  second = await startFakeUpstream();
  const answering = { provider: 'openai-compatible', endpoint: `${second.origin}/v1`, weight: 1, price_input: 0.0005, price_output: 0.0015 };
  stack = await startStack({
    config: {
      model_catalog: [
        {
          alias: 'chat',
          provider: 'anthropic',
          provider_model: 'claude-sonnet-4-5',
          api_key: 'k',
          endpoint: first.origin,
          weight: 1_000_000,
          price_input: 0.003,
          price_output: 0.015,
          price_cached_input: 0.0003,
        },
        { ...answering, alias: 'chat', provider_model: 'second' },
        { ...answering, alias: 'plain', provider_model: 'first', endpoint: `${first.origin}/v1`, weight: 1_000_000, price_input: 0.001, price_output: 0.002 },
        { ...answering, alias: 'plain', provider_model: 'second' },
        {
          alias: 'embed',
          provider: 'bedrock',
          provider_model: 'amazon.titan-embed-text-v2:0',
          model_type: 'embedding',
          modalities: ['embeddings'],
          region: 'eu-central-1',
          endpoint: first.origin,
          weight: 1_000_000,
          price_input: 0.00002,
          metadata: { aws_access_key_id: 'AKID', aws_secret_access_key: 'secret-of-the-test' },
        },
        { ...answering, alias: 'embed', provider_model: 'second', model_type: 'embedding', modalities: ['embeddings'] },
      ],
    },
  });
  db = new pg.Client({ connectionString: stack.databaseUrl });
  await db.connect();
});

afterAll(async () => {
  await db?.end();
  await cleanUp();
});

beforeEach(() => {
  second.script((exchange) => json(exchange, 200, ANSWER));
});

interface UsageRow {
  attempt_of: string | null;
  provider: string;
  provider_model: string;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  usage_source: string;
  cost_nano: string;
}

interface Booked {
  status: number;
  requests: number;
  /** The row that stands for the request first. */
  rows: UsageRow[];
}

async function ask(path: string, body: object): Promise<{ response: Response; text: string; booked: Booked }> {
  const requestId = `billed-${randomUUID()}`;
  const response = await fetch(`${stack.edge.url}/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json', 'x-request-id': requestId },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const booked = await waitFor(
    async () => {
      const { rows: requests } = await db.query<{ id: string; status: number }>('SELECT id, status FROM requests WHERE trace_id = $1', [requestId]);
      if (requests.length === 0) return undefined;
      const { rows } = await db.query<UsageRow>(
        `SELECT attempt_of, provider, provider_model, input_tokens, output_tokens, cached_input_tokens, usage_source, cost_nano
         FROM usage_records WHERE id = $1 OR attempt_of = $1 ORDER BY attempt_of NULLS FIRST`,
        [requests[0]!.id],
      );
      return { status: requests[0]!.status, requests: requests.length, rows };
    },
    { what: 'the rows' },
  );
  return { response, text, booked };
}

const chat = (model: string, more: object = {}) => ask('chat/completions', { model, messages: [{ role: 'user', content: 'Hello' }], ...more });

describe('usage of attempts that failed', () => {
  it('is booked at the first route for a stream that broke off before its first chunk, beside the answer of the second', async () => {
    first.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(event(MESSAGE_START));
      await exchange.chunk(event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } } as { type: string }));
      await exchange.endChunks();
    });
    second.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi' }, finish_reason: null }] }));
      await exchange.chunk(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
      await exchange.chunk(chunk({ choices: [], usage: { prompt_tokens: 19, completion_tokens: 1, total_tokens: 20 } }));
      await exchange.chunk('data: [DONE]\n\n');
      await exchange.endChunks();
    });
    const { response, text, booked } = await chat('chat', { stream: true });
    expect(text).toContain('[DONE]');
    expect(response.headers.get('x-omg-attempts')).toBe('2');
    expect(booked).toMatchObject({
      status: 200,
      requests: 1,
      rows: [
        // 19 x 500 + 1 x 1500 nano-USD.
        {
          attempt_of: null,
          provider: 'openai-compatible',
          provider_model: 'second',
          input_tokens: 19,
          output_tokens: 1,
          usage_source: 'provider',
          cost_nano: '11000',
        },
        // 20 x 3000 + 5 cached x 300; the model had written nothing.
        { provider: 'anthropic', provider_model: 'claude-sonnet-4-5', input_tokens: 25, cached_input_tokens: 5, output_tokens: 0, cost_nano: '61500' },
      ],
    });
  });

  it("is booked for a provider's error that tells its usage, at that route's price", async () => {
    first.script((exchange) => json(exchange, 500, { error: SERVER_ERROR, usage: { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 } }));
    const { response, booked } = await chat('plain');
    expect(response.status).toBe(200);
    expect(booked.rows).toMatchObject([
      { attempt_of: null, provider_model: 'second', input_tokens: 19, output_tokens: 10, cost_nano: '24500' },
      { provider_model: 'first', input_tokens: 40, output_tokens: 2, usage_source: 'provider', cost_nano: '44000' },
    ]);
  });

  it('is booked when every route failed and only the first had billed', async () => {
    first.script((exchange) => json(exchange, 500, { error: SERVER_ERROR, usage: { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 } }));
    second.script((exchange) => json(exchange, 503, { error: SERVER_ERROR }));
    const { response, booked } = await chat('plain');
    expect(response.status).toBe(502);
    expect(booked).toMatchObject({ status: 502, requests: 1, rows: [{ attempt_of: null, provider_model: 'first', input_tokens: 40, cost_nano: '44000' }] });
    expect(booked.rows).toHaveLength(1);
  });

  it('is booked for the parts of a fan-out that had ended well before one failed', async () => {
    first.script((exchange) => {
      // The monitor's probe has no body.
      if (exchange.request.method === 'GET') return json(exchange, 200, {});
      const { inputText } = JSON.parse(exchange.request.body.toString()) as { inputText: string };
      return inputText === 'bad'
        ? json(exchange, 500, { message: 'Internal' }, { 'x-amzn-errortype': 'InternalServerException' })
        : json(exchange, 200, { embedding: [0.25, 0.5], inputTextTokenCount: 4 });
    });
    second.script((exchange) =>
      json(exchange, 200, {
        object: 'list',
        model: 'm',
        data: [0, 1, 2].map((index) => ({ object: 'embedding', index, embedding: [0.1, 0.2] })),
        usage: { prompt_tokens: 9, total_tokens: 9 },
      }),
    );
    const { response, booked } = await ask('embeddings', { model: 'embed', input: ['one', 'bad', 'three'] });
    expect(response.status).toBe(200);
    expect(booked.rows).toMatchObject([
      { attempt_of: null, provider: 'openai-compatible', input_tokens: 9, cost_nano: '4500' },
      { provider: 'bedrock', input_tokens: 8, usage_source: 'provider', cost_nano: '160' },
    ]);
  });

  it('counts in budgets to the last unit, and as one request each', async () => {
    const { rows } = await db.query<{ rows: string; rollups: string; totals: string[]; requests: string; counted: string }>(
      `SELECT (SELECT sum(cost_nano) FROM usage_records)::text AS rows, (SELECT sum(cost_nano) FROM usage_rollups)::text AS rollups,
         (SELECT array_agg(spent_nano::text) FROM budget_totals) AS totals, (SELECT count(*) FROM requests)::text AS requests,
         (SELECT sum(requests) FROM usage_rollups)::text AS counted`,
    );
    const { rows: spent, rollups, totals, requests, counted } = rows[0]!;
    expect(rollups).toBe(spent);
    expect(new Set(totals)).toEqual(new Set([spent]));
    expect(counted).toBe(requests);
    // The next answer's headers are made from Redis, which must say the same once everything is booked.
    const { response } = await chat('plain');
    const total = Number(response.headers.get('x-budget-total-usd'));
    expect(Math.round(total * 1e9)).toBeGreaterThan(Number(spent));
  });
});
