import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAdminClient, signIn, unwrap, type AdminClient } from '@omg/admin-client';
import {
  cleanUp,
  startFakeUpstream,
  startService,
  startStack,
  TEST_ADMIN,
  waitFor,
  type FakeUpstream,
  type RunningApp,
  type TestStack,
  type UpstreamExchange,
} from '@omg/testkit';
import { setTimeout as delay } from 'node:timers/promises';
import { startTcpCut, type TcpCut } from './support/tcp-cut.js';

/**
 * How long after the admin API's answer a change is in force at the edges: real processes, one request after the other at
 * every edge until it refuses. The promise is one second. `isolated` reaches NATS over a path that the test can cut.
 */
const PROMISED_MS = 1_000;
const ROUNDS = 6;

let stack: TestStack;
let isolated: RunningApp;
let cable: TcpCut;
let slow: FakeUpstream;
/** While true, requests to the fake provider wait in `held` for the test. */
let holding = false;
let held: UpstreamExchange[] = [];
let admin: AdminClient;
let count = 0;

const COMPLETION = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'demo-chat',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
};

beforeAll(async () => {
  stack = await startStack({ edges: 2 });
  const { hostname, port } = new URL(stack.natsUrl);
  cable = await startTcpCut({ host: hostname, port: Number(port) });
  isolated = await startService('edge-gateway', { ...stack.env, ROUTER_NATS_URL: `nats://${cable.address}` });
  slow = await startFakeUpstream((exchange) => (holding ? void held.push(exchange) : exchange.respond(200, COMPLETION)));
  const signedIn = await signIn({ baseUrl: stack.admin.url }, TEST_ADMIN.email, TEST_ADMIN.password);
  // A session's access token ends after 15 minutes; an admin token does not.
  const { token } = await unwrap(signedIn.POST('/admin/tokens', { body: { name: 'propagation' } }));
  admin = createAdminClient({ baseUrl: stack.admin.url, token });
});
afterAll(() => cleanUp());

interface Subject {
  tenantId: string;
  keyId: string;
  token: string;
  /** A model of its own, and where it leads. */
  model: string;
  endpoint: string;
}

async function ask(edge: RunningApp, subject: Subject): Promise<string> {
  const response = await fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${subject.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: subject.model, messages: [{ role: 'user', content: 'Hello' }] }),
  });
  const answer = (await response.json()) as { error?: { code: string } };
  return response.ok ? 'ok' : `${response.status} ${answer.error?.code}`;
}

async function saveModel(alias: string, endpoint: string, enabled: boolean): Promise<void> {
  const entry = {
    alias,
    provider: 'openai-compatible',
    provider_model: 'demo-chat',
    endpoint,
    api_key: 'upstream-key',
    price_input: 0.5,
    price_output: 1.5,
    enabled,
  };
  await unwrap(admin.POST('/admin/model-catalog', { body: entry }));
}

async function newSubject(endpoint = `${stack.demoProvider!.url}/v1`): Promise<Subject> {
  const name = `subject-${++count}`;
  const model = `model-${count}`;
  const { id: tenantId } = await unwrap(admin.POST('/admin/tenants', { body: { name, status: 'active' } }));
  await saveModel(model, endpoint, true);
  const issued = await unwrap(admin.POST('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId } }, body: { name } }));
  return { tenantId, keyId: issued.api_key.id, token: issued.token, model, endpoint };
}

const edgesNow = (): RunningApp[] => [...stack.edges, isolated];

async function served(subject: Subject, edges: readonly RunningApp[]): Promise<void> {
  for (const edge of edges) await waitFor(async () => (await ask(edge, subject)) === 'ok', { what: 'the edge to serve the new key' });
}

interface Change {
  name: string;
  refusal: string;
  make(subject: Subject): Promise<unknown>;
}

const CHANGES: Change[] = [
  {
    name: 'revoked key',
    refusal: '401 invalid_api_key',
    make: ({ tenantId, keyId }) => unwrap(admin.DELETE('/admin/tenants/{tenantId}/api-keys/{keyId}', { params: { path: { tenantId, keyId } } })),
  },
  {
    name: 'suspended tenant',
    refusal: '403 tenant_inactive',
    make: ({ tenantId }) => unwrap(admin.PATCH('/admin/tenants/{tenantId}/status', { params: { path: { tenantId } }, body: { status: 'suspended' } })),
  },
  {
    name: 'lowered budget',
    refusal: '403 budget_exceeded',
    make: ({ tenantId }) => unwrap(admin.PUT('/admin/tenants/{tenantId}/budget', { params: { path: { tenantId } }, body: { budget_usd: 0.000_001 } })),
  },
  { name: 'disabled model', refusal: '404 model_not_found', make: ({ model, endpoint }) => saveModel(model, endpoint, false) },
];

/** Milliseconds from `sinceMs` until the edge refused; every answer before that was a good one. */
async function untilRefused(edge: RunningApp, subject: Subject, refusal: string, sinceMs: number): Promise<number> {
  for (;;) {
    const answer = await ask(edge, subject);
    const tookMs = performance.now() - sinceMs;
    if (answer === refusal) return tookMs;
    if (answer !== 'ok') throw new Error(`the edge answered ${answer} before ${refusal}`);
    if (tookMs > 60 * PROMISED_MS) throw new Error(`the edge still serves ${Math.round(tookMs)} ms after the change`);
  }
}

/** The sample at this share of the sorted ones. */
function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!);
}

/**
 * Shows all samples of all rounds, and holds the promise for each place (an edge, a kind of change) by the middle one of its rounds:
 * what is late by itself is late in every round, what only waited for a processor of a busy machine in one.
 */
function expectInTime(what: string, rounds: readonly (readonly number[])[]): void {
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => `${percentile(rounds.flat(), share)} ms`);
  console.log(`${what}: ${rounds.flat().length} samples, p50 ${p50}, p99 ${p99}, max ${max}`);
  const middle = rounds[0]!.map((_, place) =>
    percentile(
      rounds.map((round) => round[place]!),
      0.5,
    ),
  );
  expect(Math.max(...middle)).toBeLessThan(PROMISED_MS);
}

describe.each(CHANGES)('a $name', ({ name, refusal, make }) => {
  it('is refused by every edge within a second of the admin API’s answer, and stays refused', async () => {
    const rounds: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const subject = await newSubject();
      await served(subject, edgesNow());
      await make(subject);
      const sinceMs = performance.now();
      rounds.push(await Promise.all(edgesNow().map((edge) => untilRefused(edge, subject, refusal, sinceMs))));
      for (const edge of edgesNow()) expect(await ask(edge, subject)).toBe(refusal);
    }
    expectInTime(name, rounds);
  });

  it('is not undone by requests that were running when it was made', async () => {
    const subject = await newSubject(`${slow.origin}/v1`);
    await served(subject, edgesNow());
    held = [];
    holding = true;
    const running = edgesNow().map((edge) => ask(edge, subject));
    await waitFor(() => held.length === running.length, { what: 'the requests to reach the provider' });
    holding = false;
    await make(subject);
    const sinceMs = performance.now();
    await Promise.all(edgesNow().map((edge) => untilRefused(edge, subject, refusal, sinceMs)));
    for (const exchange of held) await exchange.respond(200, COMPLETION);
    expect(await Promise.all(running)).toEqual(running.map(() => 'ok'));
    // Their ends are settled, published, booked and released within this time.
    const untilMs = performance.now() + 2 * PROMISED_MS;
    while (performance.now() < untilMs) for (const edge of edgesNow()) expect(await ask(edge, subject)).toBe(refusal);
  });
});

describe('a key that was just issued', () => {
  it('works at its first use at every edge: the admin API answers once the edges can know it', async () => {
    const subject = await newSubject();
    await served(subject, edgesNow());
    for (let proofs = 0; proofs < 10;) {
      const askedMs = performance.now();
      const { token } = await unwrap(
        admin.POST('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId: subject.tenantId } }, body: { name: `key ${askedMs}` } }),
      );
      // It waits for a second at most: an answer that took longer, on a busy machine, promises nothing.
      if (performance.now() - askedMs >= PROMISED_MS) continue;
      proofs += 1;
      expect(await Promise.all(edgesNow().map((edge) => ask(edge, { ...subject, token })))).toEqual(edgesNow().map(() => 'ok'));
    }
  });
});

describe('an edge that was away', () => {
  it('serves from its last snapshot while it is cut off from NATS, and refuses all four within a second of its return', async () => {
    const rounds: number[][] = [];
    for (let round = 0; round < 3; round++) {
      const subjects = await Promise.all(CHANGES.map(() => newSubject()));
      for (const subject of subjects) await served(subject, edgesNow());
      cable.cut();
      for (const [index, change] of CHANGES.entries()) {
        await change.make(subjects[index]!);
        const sinceMs = performance.now();
        await Promise.all(stack.edges.map((edge) => untilRefused(edge, subjects[index]!, change.refusal, sinceMs)));
      }
      for (const subject of subjects) expect(await ask(isolated, subject)).toBe('ok');
      const backMs = await cable.heal();
      rounds.push(await Promise.all(CHANGES.map((change, index) => untilRefused(isolated, subjects[index]!, change.refusal, backMs))));
    }
    expectInTime('cut off from NATS and back', rounds);
  });

  it('refuses all four within a second after it was stopped and goes on', async () => {
    const [edge] = stack.edges as [RunningApp];
    const rounds: number[][] = [];
    for (let round = 0; round < 3; round++) {
      const subjects = await Promise.all(CHANGES.map(() => newSubject()));
      for (const subject of subjects) await served(subject, edgesNow());
      edge.pause();
      try {
        for (const [index, change] of CHANGES.entries()) await change.make(subjects[index]!);
        await delay(3_000);
      } finally {
        edge.resume();
      }
      const backMs = performance.now();
      rounds.push(await Promise.all(CHANGES.map((change, index) => untilRefused(edge, subjects[index]!, change.refusal, backMs))));
    }
    expectInTime('stopped and going on', rounds);
  });
});
