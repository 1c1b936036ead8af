import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { ProviderError, type TransportRequest } from '@omg/providers/spec';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream, type UpstreamExchange } from '@omg/testkit';
import { createTransport, type UpstreamTransport } from './transport.js';

let upstream: FakeUpstream;
let transport: UpstreamTransport;

beforeEach(async () => {
  upstream = await startFakeUpstream();
  transport = createTransport({ connections: 4, allowlist: ['127.0.0.1'], waitingMax: 2, keepAliveMs: 60_000 });
});
afterEach(() => transport.close());
afterAll(cleanUp);

const request = (more: Partial<TransportRequest> = {}): TransportRequest => ({
  method: 'POST',
  url: `${upstream.origin}/v1/chat?x=1`,
  headers: { 'content-type': 'application/json' },
  body: '{"a":1}',
  signal: new AbortController().signal,
  headersTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  ...more,
});

async function failure(promise: Promise<unknown>): Promise<ProviderError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ProviderError);
  return error as ProviderError;
}

/** Until the connection is gone. Gives way after each piece: the reader lives in the same process. */
async function sendForEver(exchange: UpstreamExchange, piece: Buffer, onSent: () => void = () => undefined): Promise<void> {
  while (await exchange.chunk(piece)) {
    onSent();
    await turn();
  }
}

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

describe('a whole body', () => {
  it('arrives with status, lower-cased headers and the bytes that were sent, over reused connections', async () => {
    upstream.script((exchange) => exchange.respond(201, { hello: 'wörld' }, { 'X-Request-Id': 'a', 'X-Two': '1' }));
    for (let turn = 0; turn < 10; turn++) {
      const response = await transport.send(request());
      expect(response.status).toBe(201);
      expect(response.headers['x-request-id']).toBe('a');
      expect(JSON.parse((await response.bytes(1000)).toString())).toEqual({ hello: 'wörld' });
    }
    expect(upstream.connections).toBeLessThanOrEqual(2);
    const [first] = upstream.requests;
    expect(first).toMatchObject({ method: 'POST', path: '/v1/chat?x=1' });
    expect(first!.body.toString()).toBe('{"a":1}');
  });

  it('is put together from single bytes', async () => {
    upstream.script(async (exchange) => {
      for (const byte of Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')) await exchange.write(Buffer.of(byte));
    });
    expect((await (await transport.send(request())).bytes(10)).toString()).toBe('hello');
  });

  it('past the limit is refused, announced or not, and its connection closed', async () => {
    upstream.once((exchange) => exchange.head(200, { 'content-length': '1000000000' }).then(() => undefined));
    expect((await failure((await transport.send(request())).bytes(1000))).kind).toBe('malformed');
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await sendForEver(exchange, Buffer.alloc(16_384));
    });
    expect((await failure((await transport.send(request())).bytes(100_000))).kind).toBe('malformed');
    await Promise.all(upstream.exchanges.map((exchange) => exchange.waitForClose()));
  });

  it('does not follow redirects', async () => {
    upstream.script((exchange) => exchange.respond(302, 'moved', { location: 'http://169.254.169.254/' }));
    const response = await transport.send(request());
    expect(response.status).toBe(302);
    await response.bytes(100);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('requests to instance metadata', () => {
  it('reach no other address, even an allowed one that has a connection open', async () => {
    upstream.script((exchange) => exchange.respond(200, 'ok'));
    await (await transport.send(request())).bytes(10);
    const error = await failure(transport.send(request({ toInstanceMetadata: true })));
    expect(error).toMatchObject({ kind: 'network', internal: expect.stringContaining('not allowed') });
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('what goes wrong', () => {
  it('is a timeout when no headers come in time, and the socket is closed', async () => {
    const error = await failure(transport.send(request({ headersTimeoutMs: 100 })));
    expect(error.kind).toBe('timeout');
    await upstream.exchanges[0]!.waitForClose();
  });

  it('is none when the answer came in time and only this process was too busy to read it', async () => {
    upstream.script((exchange) => {
      void exchange.respond(200, 'ok');
      const busyUntil = performance.now() + 200;
      while (performance.now() < busyUntil);
    });
    const response = await transport.send(request({ headersTimeoutMs: 100 }));
    expect((await response.bytes(10)).toString()).toBe('ok');
  });

  it('is a timeout when the body stops', async () => {
    upstream.script((exchange) => exchange.startEventStream().then(() => exchange.chunk('data: 1\n\n').then(() => undefined)));
    const response = await transport.send(request({ idleTimeoutMs: 1000 }));
    const seen: string[] = [];
    const error = await failure(
      (async () => {
        for await (const chunk of response.chunks()) seen.push(chunk.toString());
      })(),
    );
    expect(seen).toEqual(['data: 1\n\n']);
    expect(error.kind).toBe('timeout');
  });

  it('is a network error when nobody listens, the peer resets, or closes before or within the body', async () => {
    upstream.once((exchange) => exchange.reset());
    expect((await failure(transport.send(request()))).kind).toBe('network');
    upstream.once((exchange) => exchange.close());
    expect((await failure(transport.send(request()))).kind).toBe('network');
    upstream.once(async (exchange) => {
      await exchange.head(200, { 'content-length': '100' });
      await exchange.write('half');
      exchange.close();
    });
    const response = await transport.send(request());
    expect(['network', 'malformed']).toContain((await failure(response.bytes(1000))).kind);
    await upstream.close();
    expect((await failure(transport.send(request()))).kind).toBe('network');
  });

  it('is malformed when the peer does not speak HTTP', async () => {
    upstream.script((exchange) => exchange.write('SSH-2.0-OpenSSH_9.2\r\n').then(() => undefined));
    const error = await failure(transport.send(request()));
    expect([error.kind, error.internal]).toEqual(['malformed', expect.stringContaining('HTTP')]);
  });

  it('is a network error for a header that cannot be sent, without its value', async () => {
    const error = await failure(transport.send(request({ headers: { authorization: 'Bearer canary\nx: y' } })));
    expect(error.kind).toBe('network');
    expect(String(error.internal)).not.toContain('canary');
  });
});

describe('the address guard of connections', () => {
  it('refuses private addresses, as literals and as names, before a byte is sent', async () => {
    const closed = createTransport({ connections: 1 });
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '2130706433', '0x7f.1']) {
      const error = await failure(closed.send(request({ url: `http://${host}:${upstream.port}/` })));
      expect(error.kind).toBe('network');
      expect(error.internal).toContain('not allowed');
    }
    expect(upstream.connections).toBe(0);
    await closed.close();
  });

  it('reaches a private host that is allowed by name', async () => {
    upstream.script((exchange) => exchange.respond(200, 'ok'));
    const named = createTransport({ connections: 1, allowlist: ['localhost'] });
    const response = await named.send(request({ url: `http://localhost:${upstream.port}/` }));
    expect((await response.bytes(10)).toString()).toBe('ok');
    await named.close();
  });

  it.each(['ftp://x/', 'file:///etc/passwd', 'http://user:pw@127.0.0.1/', 'nonsense'])('refuses the URL %s', async (url) => {
    expect((await failure(transport.send(request({ url })))).kind).toBe('network');
  });
});

describe('giving up', () => {
  it('an abort before the headers closes only that socket', async () => {
    const abort = new AbortController();
    const aborted = failure(transport.send(request({ signal: abort.signal })));
    upstream.script(() => undefined);
    const other = transport.send(request());
    await waitFor(() => upstream.exchanges.length === 2);
    abort.abort();
    expect((await aborted).kind).toBe('network');
    await waitFor(() => upstream.exchanges.filter((exchange) => exchange.aborted).length === 1);
    const alive = upstream.exchanges.find((exchange) => !exchange.aborted)!;
    await alive.respond(200, 'fine');
    expect((await (await other).bytes(10)).toString()).toBe('fine');
  });

  it('leaving the loop closes the connection', async () => {
    upstream.script(async (exchange) => {
      await exchange.startEventStream();
      await sendForEver(exchange, Buffer.from('data: x\n\n'));
    });
    const response = await transport.send(request());
    for await (const chunk of response.chunks()) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await upstream.exchanges[0]!.waitForClose();
    await waitFor(() => transport.stats()[0]!.running === 0);
  });

  it('an abort reason that is a ProviderError is the error that is told', async () => {
    const reason = new ProviderError('timeout', { internal: 'total deadline' });
    const abort = new AbortController();
    const pending = failure(transport.send(request({ signal: abort.signal })));
    abort.abort(reason);
    expect(await pending).toBe(reason);
    expect(await failure(transport.send(request({ signal: AbortSignal.abort(reason) })))).toBe(reason);
  });

  it('a waiting request leaves the queue without a connection, and its place goes to the next', async () => {
    const narrow = createTransport({ connections: 1, allowlist: ['127.0.0.1'], waitingMax: 2 });
    const first = narrow.send(request());
    await waitFor(() => upstream.exchanges.length === 1);
    const abort = new AbortController();
    const second = failure(narrow.send(request({ signal: abort.signal })));
    const third = narrow.send(request());
    expect((await failure(narrow.send(request()))).kind).toBe('overloaded');
    abort.abort();
    await second;
    upstream.script((exchange) => exchange.respond(200, 'third'));
    await upstream.exchanges[0]!.respond(200, 'first');
    expect((await (await first).bytes(10)).toString()).toBe('first');
    expect((await (await third).bytes(10)).toString()).toBe('third');
    expect(upstream.requests).toHaveLength(2);
    expect(narrow.stats()[0]).toMatchObject({ running: 0, waiting: 0 });
    await narrow.close();
  });
});

describe('backpressure', () => {
  it('a slow reader stops the provider instead of filling memory', async () => {
    let sentBytes = 0;
    const piece = Buffer.alloc(32 * 1024, 'x');
    upstream.script(async (exchange) => {
      await exchange.startEventStream();
      await sendForEver(exchange, piece, () => (sentBytes += piece.length));
    });
    const response = await transport.send(request({ idleTimeoutMs: 1000 }));
    const reader = response.chunks()[Symbol.asyncIterator]();
    let readBytes = (await reader.next()).value!.length;
    // The sender gets stuck: the kernel's buffers and ours are all that it can fill.
    let before = -1;
    await waitFor(
      () => {
        const isStuck = before === sentBytes;
        before = sentBytes;
        return isStuck;
      },
      { intervalMs: 150 },
    );
    expect(sentBytes).toBeLessThan(16 * 1024 * 1024);
    // Longer than the idle timeout: a paused stream is not a silent one.
    const pausedSince = performance.now();
    await waitFor(() => performance.now() - pausedSince > 1200);
    while (readBytes < 20 * 1024 * 1024) readBytes += (await reader.next()).value!.length;
    await reader.return!();
    await upstream.exchanges[0]!.waitForClose();
  });

  it('a body that nobody reads does not hold its connection for ever', async () => {
    upstream.script(async (exchange) => {
      await exchange.startEventStream();
      await sendForEver(exchange, Buffer.alloc(32 * 1024));
    });
    await transport.send(request({ idleTimeoutMs: 100 }));
    await upstream.exchanges[0]!.waitForClose();
  });

  it('bytes that came before an error are delivered first', async () => {
    upstream.script(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk('data: last words\n\n');
      exchange.reset();
    });
    const response = await transport.send(request());
    await waitFor(() => upstream.exchanges[0]!.aborted);
    const iterator = response.chunks()[Symbol.asyncIterator]();
    const first = await iterator.next().catch((error: unknown) => error);
    if (!(first instanceof ProviderError)) {
      expect((first as IteratorResult<Buffer>).value!.toString()).toBe('data: last words\n\n');
      expect((await failure(iterator.next())).kind).toBe('network');
    }
  });

  it('reads a stream to its end', async () => {
    upstream.script((exchange) => exchange.respondEvents([{ a: 1 }, { b: 2 }]));
    expect(await text((await transport.send(request())).chunks())).toBe('data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n');
    expect(transport.stats()[0]).toMatchObject({ running: 0 });
  });
});
