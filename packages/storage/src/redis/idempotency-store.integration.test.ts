import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestRedis, waitFor } from '@omg/testkit';
import { Redis } from 'ioredis';
import { newId } from './admission.fixture.js';
import { IdempotencyStore, type IdempotencyScope } from './idempotency-store.js';

let client: Redis;
let store: IdempotencyStore;

beforeAll(async () => {
  client = new Redis((await createTestRedis()).url);
  store = new IdempotencyStore(client, { commandTimeoutMs: 60_000, bodyBytesMax: 1_000, bodyBytesAtOnceMax: 500 });
});

afterAll(async () => {
  store.close();
  client.disconnect();
  await cleanUp();
});

const scope = (change: Partial<IdempotencyScope> = {}): IdempotencyScope => ({
  tenantId: newId(),
  keyId: newId(),
  route: 'POST /v1/chat/completions',
  clientKey: 'order-17',
  ...change,
});
const ANSWER = { status: 200, contentType: 'application/json', body: '{"text":"käse ✓"}' };
const KEPT = { ...ANSWER, bodyBytes: Buffer.byteLength(ANSWER.body) };

async function begin(at: IdempotencyScope, fingerprint = 'f1', leaseMs = 60_000): Promise<string> {
  const begun = await store.begin(at, fingerprint, leaseMs);
  if (begun.outcome !== 'fresh') throw new Error(`expected a fresh key, got ${begun.outcome}`);
  return begun.token;
}

describe('idempotency store', () => {
  it('lets one of 50 concurrent requests through and tells the others that it is running', async () => {
    const at = scope();
    const results = await Promise.all(Array.from({ length: 50 }, () => store.begin(at, 'f1', 60_000)));
    expect(results.filter((r) => r.outcome === 'fresh')).toHaveLength(1);
    expect(results.filter((r) => r.outcome === 'in_use' && r.retryAfterMs > 0)).toHaveLength(49);
  });

  it('replays the stored answer byte for byte, with an end of life', async () => {
    const at = scope();
    expect(await store.complete(at, await begin(at), ANSWER)).toBe(true);
    expect(await store.begin(at, 'f1', 60_000)).toEqual({ outcome: 'replay', answer: KEPT });
    const [key] = await client.keys(`omg:{${at.tenantId}}:*`);
    const ttlMs = await client.pttl(key!);
    expect(ttlMs).toBeGreaterThan(29 * 60_000);
    expect(ttlMs).toBeLessThanOrEqual(30 * 60_000);
  });

  it('tells of a long answer how long it is, and hands it out when it is asked for', async () => {
    const at = scope();
    const body = 'ä'.repeat(251);
    await store.complete(at, await begin(at), { ...ANSWER, body });
    expect(await store.begin(at, 'f1', 60_000)).toEqual({ outcome: 'replay', answer: { ...ANSWER, bodyBytes: 502, body: undefined } });
    expect(await store.readBody(at)).toBe(body);
    expect(await store.readBody(scope())).toBeUndefined();
  });

  it('refuses another body under the same key, while the first runs and afterwards', async () => {
    const at = scope();
    const token = await begin(at);
    expect(await store.begin(at, 'f2', 60_000)).toEqual({ outcome: 'reused' });
    await store.complete(at, token, ANSWER);
    expect(await store.begin(at, 'f2', 60_000)).toEqual({ outcome: 'reused' });
  });

  it('keeps tenants, virtual keys and routes apart', async () => {
    const at = scope();
    await store.complete(at, await begin(at), ANSWER);
    for (const other of [{ tenantId: newId() }, { keyId: newId() }, { route: 'POST /v1/embeddings' }, { clientKey: 'order-18' }]) {
      expect(await store.begin({ ...at, ...other }, 'f1', 60_000)).toMatchObject({ outcome: 'fresh' });
    }
  });

  it('a failed request and an answer beyond the bound free the key', async () => {
    const at = scope();
    await store.abort(at, await begin(at));
    expect(await store.complete(at, await begin(at), { ...ANSWER, body: 'x'.repeat(1_001) })).toBe(false);
    await begin(at, 'another body');
  });

  it('a lock whose holder crashed is free after its lease, and the late holder cannot overwrite the new one', async () => {
    const at = scope();
    const late = await begin(at, 'f1', 20);
    const token = await waitFor(async () => {
      const begun = await store.begin(at, 'f1', 60_000);
      return begun.outcome === 'fresh' ? begun.token : undefined;
    });
    expect(await store.complete(at, late, { ...ANSWER, body: 'late' })).toBe(false);
    await store.abort(at, late);
    expect(await store.begin(at, 'f1', 60_000)).toMatchObject({ outcome: 'in_use' });
    expect(await store.complete(at, token, ANSWER)).toBe(true);
    expect(await store.begin(at, 'f1', 60_000)).toEqual({ outcome: 'replay', answer: KEPT });
  });
});
