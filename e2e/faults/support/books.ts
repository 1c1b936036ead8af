import { expect } from '@jest/globals';
import { RedisLedgerStore } from '@omg/storage';
import { waitFor, type RunningApp, type TestStack } from '@omg/testkit';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Outcome } from './load.js';
import { PROMPT_CANARY, type MockProvider } from './mock-provider.js';

/**
 * The books after a fault: what clients got, what the provider was asked, what Postgres holds and what Redis holds must
 * tell one story. The same checks after every scenario, written without any code of the services.
 */

/** Prices of the test stack's catalog in nano-USD per token: [input, output]. */
const PRICES: Record<string, readonly [bigint, bigint]> = { 'test-chat': [500n, 1500n], 'test-embed': [20n, 0n] };
/** The stack's secrets: none of them may be in any log. */
const SECRETS = ['test-secret', 'upstream-key', 'test-admin-password', PROMPT_CANARY];
const TENANT_TOTAL = '00000000-0000-0000-0000-000000000000';
const QUIET_MS_MAX = 90_000;

interface Row {
  trace_id: string;
  status: number;
  attempts: { routeId: string }[] | null;
  model_alias: string;
  usage_source: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cost_nano: string | null;
}

/** What one scenario showed, printed after it. */
export interface Figures {
  calls: number;
  answered: number;
  refused: number;
  broken: number;
  upstreamCalls: number;
  usageRows: number;
  estimatedRows: number;
  spentUsd: string;
  settledAfterMs: number;
}

export interface BooksOptions {
  /** Calls the test made beside the load, if any, are part of `outcomes` too. */
  outcomes: readonly Outcome[];
  provider: MockProvider;
  /** Processes that were replaced: their logs are searched too. */
  formerApps?: readonly RunningApp[];
  /**
   * Answered calls whose usage may be booked by estimate or from the text (their edge was killed before the provider's numbers
   * were known). Default: none.
   */
  estimatesAllowed?: boolean;
}

export async function checkBooks(stack: TestStack, options: BooksOptions): Promise<Figures> {
  const redis = new Redis(stack.redisUrl);
  const ledger = new RedisLedgerStore(redis, { commandTimeoutMs: 10_000 });
  const db = new pg.Client({ connectionString: stack.databaseUrl });
  await db.connect();
  try {
    const startedMs = performance.now();
    await waitUntilQuiet(stack, db, ledger);
    const settledAfterMs = Math.round(performance.now() - startedMs);
    const rows = await usageByCall(db);
    checkAnswered(options, rows);
    checkRefused(options, rows);
    checkProvider(options, rows);
    await checkRollups(db);
    await checkTotals(db, ledger);
    checkLogs(stack, options.formerApps ?? []);
    return figuresOf(options, rows, settledAfterMs);
  } finally {
    ledger.close();
    redis.disconnect();
    await db.end();
  }
}

async function tenantIds(db: pg.Client): Promise<string[]> {
  return (await db.query<{ id: string }>('SELECT id FROM tenants')).rows.map((row) => row.id);
}

/** Nothing on the bus, nothing open and nothing waiting in Redis. */
async function waitUntilQuiet(stack: TestStack, db: pg.Client, ledger: RedisLedgerStore): Promise<void> {
  const bus = await connect({ servers: stack.natsUrl });
  let last: unknown;
  try {
    const streams = await jetstreamManager(bus);
    const tenants = await tenantIds(db);
    await waitFor(
      async () => {
        const { state } = await streams.streams.info('USAGE');
        const held = await Promise.all(tenants.map((tenant) => ledger.inspect(tenant)));
        last = { messages: state.messages, held: held.map(({ open, ended, budgets }) => ({ open, ended, owed: budgets.map((b) => String(b.openNano)) })) };
        return state.messages === 0 && held.every(({ open, ended, budgets }) => open === 0 && ended === 0 && budgets.every((b) => b.openNano === 0n));
      },
      { timeoutMs: QUIET_MS_MAX, intervalMs: 200, what: 'all usage to be booked and nothing to stay open' },
    );
  } catch (cause) {
    throw new Error(`not everything was booked: ${JSON.stringify(last)}`, { cause });
  } finally {
    await bus.close();
  }
}

async function usageByCall(db: pg.Client): Promise<Map<string, Row[]>> {
  const { rows } = await db.query<Row>(
    `SELECT r.trace_id, r.status, r.attempts, r.model_alias, u.usage_source, u.input_tokens, u.output_tokens, u.cost_nano
     FROM requests r LEFT JOIN usage_records u ON u.id = r.id AND u.ts = r.ts`,
  );
  const byCall = new Map<string, Row[]>();
  for (const row of rows) byCall.set(row.trace_id, [...(byCall.get(row.trace_id) ?? []), row]);
  return byCall;
}

const costOf = (row: Row): bigint => {
  const [input, output] = PRICES[row.model_alias]!;
  return BigInt(row.input_tokens!) * input + BigInt(row.output_tokens!) * output;
};

const wasAnswered = (outcome: Outcome): boolean => outcome.status === 200 && outcome.whole;
/** Turned away before any provider was called; a call that failed after that tells how many it tried. */
const wasRefused = (outcome: Outcome): boolean => outcome.status >= 400 && outcome.headers['x-omg-attempts'] === undefined;

/** Each answered call: one usage row, the provider's numbers, the exact integer cost. */
function checkAnswered({ outcomes, provider, estimatesAllowed }: BooksOptions, rows: Map<string, Row[]>): void {
  const wrong: unknown[] = [];
  for (const outcome of outcomes.filter(wasAnswered)) {
    const found = (rows.get(outcome.callId) ?? []).filter((row) => row.usage_source !== null);
    const finished = provider.callsOf(outcome.callId).filter((call) => call.finished);
    const [row, told] = [found[0], finished[0]];
    const exact = row?.usage_source === 'provider' && told && row.input_tokens === told.promptTokens && row.output_tokens === told.completionTokens;
    const priced = row && (BigInt(row.cost_nano ?? -1) === costOf(row) || (estimatesAllowed === true && row.usage_source === 'estimate'));
    const estimated = estimatesAllowed === true && row?.usage_source === 'estimate';
    if (found.length !== 1 || finished.length !== 1 || !priced || !(exact || estimated)) wrong.push({ outcome, found, finished });
  }
  expect({ what: 'answered calls without exactly one exact usage row', count: wrong.length, first: wrong.slice(0, 3) }).toEqual({
    what: 'answered calls without exactly one exact usage row',
    count: 0,
    first: [],
  });
}

/** Each refused call: no provider call, no usage row, at most one request row. */
function checkRefused({ outcomes, provider }: BooksOptions, rows: Map<string, Row[]>): void {
  const wrong = outcomes.filter(wasRefused).filter((outcome) => {
    const found = rows.get(outcome.callId) ?? [];
    return found.length > 1 || found.some((row) => row.usage_source !== null) || provider.callsOf(outcome.callId).length > 0;
  });
  expect({ refusedButUsed: wrong.slice(0, 3), count: wrong.length }).toEqual({ refusedButUsed: [], count: 0 });
}

/** Each call that the provider saw is in exactly one request, once per attempt that the request row tells. */
function checkProvider({ provider }: BooksOptions, rows: Map<string, Row[]>): void {
  const wrong: unknown[] = [];
  for (const callId of new Set(provider.calls.map((one) => one.callId))) {
    const calls = provider.callsOf(callId);
    const found = rows.get(callId) ?? [];
    const attempts = found[0]?.attempts?.length ?? 1;
    if (found.length !== 1 || calls.length > attempts) wrong.push({ callId, calls, found });
  }
  expect({ providerCallsWithoutTheirRow: wrong.slice(0, 3), count: wrong.length }).toEqual({ providerCallsWithoutTheirRow: [], count: 0 });
}

/** Rollups say what a full scan of the rows says. */
async function checkRollups(db: pg.Client): Promise<void> {
  const sums = `sum(input_tokens)::text AS input, sum(output_tokens)::text AS output, coalesce(sum(cost_nano), 0)::text AS cost`;
  const scope = 'tenant_id, api_key_id, model_alias, provider';
  const scan = await db.query(
    `SELECT date_bin('15 minutes', booked_at, 'epoch') AS at, ${scope}, count(*) FILTER (WHERE attempt_of IS NULL)::text AS requests, ${sums}
     FROM usage_records GROUP BY 1, ${scope} ORDER BY 1, ${scope}`,
  );
  const rollups = await db.query(
    `SELECT bucket AS at, ${scope}, sum(requests)::text AS requests, ${sums} FROM usage_rollups GROUP BY 1, ${scope} ORDER BY 1, ${scope}`,
  );
  expect(rollups.rows).toEqual(scan.rows);
}

/** Postgres's totals say what the rows say, and Redis says what Postgres says. */
async function checkTotals(db: pg.Client, ledger: RedisLedgerStore): Promise<void> {
  const { rows: totals } = await db.query<{ tenant_id: string; api_key_id: string; window_id: string; spent_nano: string; scanned: string }>(
    `SELECT t.tenant_id, t.api_key_id, t.window_id, t.spent_nano::text, (
       SELECT coalesce(sum(u.cost_nano), 0)::text FROM usage_records u
       WHERE u.tenant_id = t.tenant_id AND (t.api_key_id = $1 OR u.api_key_id = t.api_key_id) AND u.booked_at >= t.window_start AND u.booked_at < t.window_end
     ) AS scanned FROM budget_totals t`,
    [TENANT_TOTAL],
  );
  expect(totals.map((total) => ({ ...total, scanned: total.spent_nano }))).toEqual(totals);
  for (const tenant of await tenantIds(db)) {
    const { budgets } = await ledger.inspect(tenant);
    for (const budget of budgets.filter((one) => one.spentNano !== undefined)) {
      const apiKeyId = budget.keyId ?? TENANT_TOTAL;
      const total = totals.find((one) => one.tenant_id === tenant && one.api_key_id === apiKeyId && one.window_id === budget.windowId);
      expect({ budget: budget.windowId, spent: String(budget.spentNano) }).toEqual({ budget: budget.windowId, spent: total?.spent_nano ?? '0' });
    }
  }
}

/** No secret and no prompt in any line that any process wrote. */
function checkLogs(stack: TestStack, formerApps: readonly RunningApp[]): void {
  const apps = [...stack.edges, stack.admin, stack.recorder, stack.monitor, ...formerApps];
  for (const app of apps) {
    const text = [...app.logs.map((line) => JSON.stringify(line)), ...app.rawOutput].join('\n');
    const leaks = SECRETS.filter((secret) => text.includes(secret));
    expect({ app: app.app, leaks }).toEqual({ app: app.app, leaks: [] });
  }
}

function figuresOf({ outcomes, provider }: BooksOptions, rows: Map<string, Row[]>, settledAfterMs: number): Figures {
  const used = [...rows.values()].flat().filter((row) => row.usage_source !== null);
  const spentNano = used.reduce((sum, row) => sum + BigInt(row.cost_nano ?? 0), 0n);
  return {
    calls: outcomes.length,
    answered: outcomes.filter(wasAnswered).length,
    refused: outcomes.filter(wasRefused).length,
    broken: outcomes.filter((outcome) => !wasAnswered(outcome) && !wasRefused(outcome)).length,
    upstreamCalls: provider.calls.length,
    usageRows: used.length,
    estimatedRows: used.filter((row) => row.usage_source === 'estimate').length,
    spentUsd: (Number(spentNano) / 1e9).toFixed(6),
    settledAfterMs,
  };
}

/** One line per scenario, readable in the test's output. */
export function printFigures(scenario: string, figures: Figures | Record<string, unknown>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name}=${String(value)}`);
  process.stdout.write(`FAULT ${scenario}: ${parts.join(' ')}\n`);
}
