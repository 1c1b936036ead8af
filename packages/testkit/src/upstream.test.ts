import { afterAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream } from './index.js';

afterAll(cleanUp);

describe('startFakeUpstream', () => {
  it('records the request and answers the scripted bytes', async () => {
    const upstream = await startFakeUpstream((exchange) => exchange.respond(200, { ok: true }));
    const response = await fetch(`${upstream.origin}/v1/x?y=1`, { method: 'POST', body: JSON.stringify({ a: 'ä' }), headers: { 'x-test': '1' } });
    expect(await response.json()).toEqual({ ok: true });
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]).toMatchObject({ method: 'POST', path: '/v1/x?y=1', headers: { 'x-test': '1' } });
    expect(upstream.requests[0]!.json()).toEqual({ a: 'ä' });
  });

  it('releases pieces of a stream only when the test says so', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const upstream = await startFakeUpstream(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk('data: 1\n\n');
      await gate;
      await exchange.chunk('data: 2\n\n');
      await exchange.endChunks();
    });
    const reader = (await fetch(upstream.origin)).body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('data: 1\n\n');
    const second = reader.read();
    release();
    expect(Buffer.from((await second).value!).toString()).toBe('data: 2\n\n');
    expect((await reader.read()).done).toBe(true);
  });

  it('sees that its client went away', async () => {
    const upstream = await startFakeUpstream();
    const abort = new AbortController();
    const call = fetch(upstream.origin, { signal: abort.signal }).catch((error: Error) => error.name);
    while (upstream.exchanges.length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    expect(await call).toBe('AbortError');
    await upstream.exchanges[0]!.waitForClose();
    expect(upstream.exchanges[0]!.aborted).toBe(true);
  });

  it('resets the connection of one request and serves the next', async () => {
    const upstream = await startFakeUpstream((exchange) => exchange.respond(200, 'fine'));
    upstream.once((exchange) => exchange.reset());
    await expect(fetch(upstream.origin)).rejects.toThrow();
    expect(await (await fetch(upstream.origin)).text()).toBe('fine');
  });

  it('reads chunked and pipelined request bodies', async () => {
    const upstream = await startFakeUpstream((exchange) => exchange.respond(200, exchange.request.body.toString()));
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('hel');
      yield Buffer.from('lo');
    }
    const response = await fetch(upstream.origin, { method: 'POST', body: ReadableStream.from(body()), duplex: 'half' } as RequestInit);
    expect(await response.text()).toBe('hello');
  });
});
