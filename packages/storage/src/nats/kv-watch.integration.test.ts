import { afterAll, beforeEach, afterEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanUp, startNats, waitFor, type RunningService } from '@omg/testkit';
import { connectNats, type NatsClient } from './connection.js';
import { KvBucket } from './kv-bucket.js';
import { watchKv, type KvWatch } from './kv-watch.js';
import { holdLease } from './lease.js';

let nats: RunningService;
let dataDir: string;
let port: number;
let writer: NatsClient;
let reader: NatsClient;
let bucket: KvBucket;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'omg-kv-'));
  nats = await startNats({ dataDir });
  port = Number(new URL(nats.url).port);
  writer = connectNats({ url: nats.url }, { name: 'writer' });
  reader = connectNats({ url: nats.url }, { name: 'reader' });
  await Promise.all([writer.connected(), reader.connected()]);
  bucket = new KvBucket(writer, { name: 'config' });
});
afterEach(async () => {
  for (const item of open.splice(0)) await item.close();
  await Promise.all([writer.close(), reader.close()]);
  await nats.kill();
  rmSync(dataDir, { recursive: true, force: true });
});
afterAll(cleanUp);

/** A follower that holds what it was told, as an edge does. */
function follow(client = reader) {
  const state = { map: new Map<string, string>(), snapshots: 0, names: [] as string[], namesLost: 0, stale: 0, fresh: 0, errors: [] as unknown[] };
  const watch: KvWatch = watchKv(client, new KvBucket(client, { name: 'config' }), {
    keys: ['defaults', 'model.>', 'tenant.>'],
    names: ['key.>'],
    onSnapshot: (entries) => {
      state.snapshots += 1;
      state.map = new Map(entries);
    },
    onChange: (key, value) => void (value === undefined ? state.map.delete(key) : state.map.set(key, value)),
    onNamesLost: () => (state.namesLost += 1),
    onNameChange: (key) => state.names.push(key),
    onStale: () => (state.stale += 1),
    onFresh: () => (state.fresh += 1),
    onError: (error) => state.errors.push(error),
    verifyEveryMs: 200,
  });
  open.push(watch);
  return { state, watch };
}

const restart = async () => {
  await nats.kill();
  await waitFor(() => !reader.isConnected && !writer.isConnected);
  nats = await startNats({ dataDir, port });
  await waitFor(() => reader.isConnected && writer.isConnected);
};

describe('watching a bucket', () => {
  it('begins with an empty snapshot and follows values, deletions and names', async () => {
    const { state, watch } = follow();
    await watch.ready;
    expect(state.map.size).toBe(0);
    await bucket.put('tenant.a', '1');
    await bucket.put('key.x', 'secret');
    await bucket.put('model.m', 'm');
    await bucket.delete('model.m');
    await waitFor(() => state.map.get('tenant.a') === '1' && state.names.length === 1 && !state.map.has('model.m'));
    expect(state).toMatchObject({ snapshots: 1, names: ['key.x'], namesLost: 1, fresh: 1, stale: 0, errors: [] });
  });

  it('begins with everything that is there, without what was deleted and without values of names', async () => {
    for (let index = 0; index < 300; index++) await bucket.put(`tenant.t${index}`, String(index));
    await bucket.put('defaults', 'd');
    await bucket.put('key.x', 'x');
    await bucket.delete('tenant.t7');
    const { state, watch } = follow();
    await watch.ready;
    expect(state.snapshots).toBe(1);
    expect(state.map.size).toBe(300);
    expect(state.map.has('tenant.t7')).toBe(false);
    expect(state.names).toEqual([]);
  });

  it('loses nothing when the server restarts, and says that it was stale', async () => {
    await bucket.put('tenant.a', '1');
    await bucket.put('tenant.gone', '1');
    const { state, watch } = follow();
    await watch.ready;
    await restart();
    await waitFor(() => state.fresh === 2, { what: 'a fresh watch' });
    expect(state.stale).toBe(1);
    await bucket.put('tenant.a', '2');
    await bucket.delete('tenant.gone');
    await bucket.put('key.x', 'x');
    await waitFor(() => state.map.get('tenant.a') === '2' && !state.map.has('tenant.gone') && state.names.includes('key.x'));
    expect(state.namesLost).toBe(2);
  });

  it('sees what another wrote while it was cut off', async () => {
    await bucket.put('tenant.a', '1');
    await bucket.put('tenant.b', '1');
    const { state, watch } = follow();
    await watch.ready;
    await nats.kill();
    await waitFor(() => !watch.isFresh);
    expect(state.map.get('tenant.a')).toBe('1');
    // Written through another address, so that it is there before the watcher comes back.
    const aside = await startNats({ dataDir });
    const other = connectNats({ url: aside.url }, { name: 'other' });
    await other.connected();
    const elsewhere = new KvBucket(other, { name: 'config' });
    await elsewhere.put('tenant.a', '2');
    await elsewhere.delete('tenant.b');
    await other.close();
    await aside.stop();
    nats = await startNats({ dataDir, port });
    await waitFor(() => watch.isFresh && state.map.get('tenant.a') === '2' && !state.map.has('tenant.b'));
  });

  it('begins anew when the bucket was deleted and made again', async () => {
    await bucket.put('tenant.a', '1');
    const { state, watch } = follow();
    await watch.ready;
    const { jetstreamManager } = await import('@nats-io/jetstream');
    await (await jetstreamManager(writer.current!)).streams.delete('KV_config');
    bucket.forget();
    await bucket.put('tenant.b', '2');
    await waitFor(() => !state.map.has('tenant.a') && state.map.get('tenant.b') === '2');
  });

  it('waits for a server that is not there yet', async () => {
    await nats.kill();
    const late = connectNats({ url: nats.url }, { name: 'late' });
    open.push(late);
    const { state, watch } = follow(late);
    expect(watch.isFresh).toBe(false);
    nats = await startNats({ dataDir, port });
    await watch.ready;
    expect(state.snapshots).toBe(1);
  });
});

describe('a bucket', () => {
  it('creates and updates only when nobody else wrote', async () => {
    const first = await bucket.create('tenant.a', '1');
    expect(first).toBeGreaterThan(0);
    expect(await bucket.create('tenant.a', '2')).toBeUndefined();
    const second = await bucket.update('tenant.a', '2', first!);
    expect(await bucket.update('tenant.a', '3', first!)).toBeUndefined();
    expect(await bucket.get('tenant.a')).toEqual({ value: '2', revision: second });
    await bucket.put('tenant.b', 'x');
    await bucket.delete('tenant.b');
    expect(await bucket.get('tenant.b')).toBeUndefined();
    expect([...(await bucket.entries('tenant.>')).keys()]).toEqual(['tenant.a']);
  });

  it('rejects at once while NATS is away', async () => {
    await nats.kill();
    await waitFor(() => !writer.isConnected);
    await expect(bucket.get('tenant.a')).rejects.toThrow('connection closed');
  });
});

describe('a lease', () => {
  it('has one holder, and another takes over when it is given back or runs out', async () => {
    const events: string[] = [];
    const ttlMs = 5000;
    const make = (name: string, client: NatsClient) => {
      const lease = holdLease({
        bucket: new KvBucket(client, { name: 'leases', ttlMs }),
        key: 'prober',
        onGained: () => events.push(`${name}+`),
        onLost: () => events.push(`${name}-`),
      });
      open.push(lease);
      return lease;
    };
    const a = make('a', writer);
    await waitFor(() => a.isHeld);
    const b = make('b', reader);
    await waitFor(async () => (await new KvBucket(writer, { name: 'leases', ttlMs }).get('prober')) !== undefined);
    expect([a.isHeld, b.isHeld]).toEqual([true, false]);
    await a.close();
    await waitFor(() => b.isHeld);
    expect(events).toEqual(['a+', 'a-', 'b+']);
    const c = make('c', writer);
    await nats.kill();
    await waitFor(() => !b.isHeld);
    expect(c.isHeld).toBe(false);
    nats = await startNats({ dataDir, port });
    await waitFor(() => b.isHeld !== c.isHeld);
  });
});
