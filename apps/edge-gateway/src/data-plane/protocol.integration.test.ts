import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startFakeUpstream, waitFor, type FakeUpstream } from '@omg/testkit';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { chatAnswer } from '../testing/chat-answer.js';
import { chatRoute, startEdge, type EdgeHarness } from '../testing/edge-harness.js';

let harness: EdgeHarness;
let upstream: FakeUpstream;

const ANSWER = JSON.stringify(chatAnswer());
const CHUNK = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}';

beforeAll(async () => {
  upstream = await startFakeUpstream((exchange) => exchange.respond(200, ANSWER));
  harness = await startEdge({ config: { ROUTER_SERVER_BODY_LIMIT_MB: '1', ROUTER_SERVER_READ_HEADER_TIMEOUT: '5s' } });
  await harness.putModel('chat', [chatRoute(`${upstream.origin}/v1`)]);
});

afterAll(cleanUp);

interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** Sends bytes as they are and reads until the other side closes. */
async function raw(bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(harness.edge.url);
  const socket = connect(Number(port), hostname);
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await new Promise((resolve) => socket.on('close', resolve));
  return Buffer.concat(parts).toString('utf8');
}

function read(text: string): RawAnswer {
  const [head, ...rest] = text.split('\r\n\r\n');
  const [first, ...lines] = head!.split('\r\n');
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  return { status: Number(first!.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}

function expectError(answer: RawAnswer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  const { error } = JSON.parse(answer.body) as { error: Record<string, unknown> };
  expect(error).toEqual({ message: expect.any(String), type: 'invalid_request_error', param: null, code });
}

const BODY = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] });
const request = (over: { version?: string; headers?: string[]; body?: string | Buffer; connection?: string } = {}): Buffer => {
  const body = Buffer.from(over.body ?? BODY);
  const head = [
    `POST /v1/chat/completions HTTP/${over.version ?? '1.1'}`,
    'Host: gateway',
    `Authorization: ${harness.authorization}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    `Connection: ${over.connection ?? 'close'}`,
    ...(over.headers ?? []),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
};

describe('what is no request of ours is answered in the form of every other error', () => {
  it.each([
    ['bytes that are no HTTP', '\u0016\u0003\u0001\r\n\r\n', 400, 'malformed_request'],
    ['an unknown method', 'FOO /v1/models HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    ['two content lengths', 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400, 'malformed_request'],
    ['a negative content length', 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400, 'malformed_request'],
    ['headers without end', `GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['headers that trickle in', 'GET /v1/models HTTP/1.1\r\nHost: x\r\n', 408, 'request_timeout'],
    ['a URL that cannot be decoded', 'GET /v1/models/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    ['an expectation that nobody knows', 'GET /v1/models HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n', 417, 'malformed_request'],
    ['HTTP/1.1 without a host', 'GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['a path outside the API', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404, 'not_found'],
    ['the API without a path', 'GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404, 'not_found'],
    ['an unknown path', 'POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"model":', 404, 'not_found'],
    ['a method that hardly anyone knows', 'PROPFIND /v1/unknown HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404, 'not_found'],
  ])('%s', async (_what, bytes, status, code) => expectError(read(await raw(bytes)), status, code));

  it.each([
    ['GET', '/v1/chat/completions', 'POST'],
    ['OPTIONS', '/v1/chat/completions', 'POST'],
    ['PROPFIND', '/v1/embeddings?x=1', 'POST'],
    ['DELETE', '/v1/images/generations/', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['DELETE', '/v1/models/chat', 'GET, HEAD'],
  ])('%s %s is 405 and names what is allowed', async (method, path, allowed) => {
    const answer = read(await raw(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    expectError(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).toBe(allowed);
  });

  it('a body that is announced as too large is told so before the key is looked at', async () => {
    const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n';
    expectError(read(await raw(head)), 413, 'request_too_large');
  });

  it('counts unknown URLs apart from those it serves', async () => {
    await raw('GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const metrics = await (await fetch(`${harness.edge.url}/metrics`)).text();
    expect(metrics).toMatch(/http_requests_total\{method="GET",route="unmatched",status="404"\} [1-9]/);
  });
});

describe('a body', () => {
  it('that is compressed is refused, not guessed at', async () => {
    const answer = read(await raw(request({ body: gzipSync(BODY), headers: ['Content-Encoding: gzip'] })));
    expectError(answer, 415, 'unsupported_media_type');
    expect(read(await raw(request({ headers: ['Content-Encoding: identity'] }))).status).toBe(200);
  });

  it('that is not UTF-8 is refused, since it would pass to the provider as it is', async () => {
    const calls = upstream.requests.length;
    expectError(read(await raw(request({ body: Buffer.from(BODY.replace('Hello', 'H\u00e9llo'), 'latin1') }))), 400, 'invalid_json');
    expect(upstream.requests).toHaveLength(calls);
  });

  it('may come in chunks, after 100 Continue, and with a content type in any case and with a charset', async () => {
    const chunked = request({ body: '' }).toString().replace('Content-Length: 0', 'Transfer-Encoding: chunked');
    const pieces = BODY.match(/.{1,10}/gs)!.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`);
    expect(read(await raw(`${chunked}${pieces.join('')}0\r\n\r\n`)).status).toBe(200);
    const continued = await raw(request({ headers: ['Expect: 100-continue'] }));
    expect(continued).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
    expect(read(await raw(request().toString().replace('application/json', 'Application/JSON; charset=UTF-8'))).status).toBe(200);
  });
});

describe('a client without a good key', () => {
  const open = (headers: string[]) => {
    const { hostname, port } = new URL(harness.edge.url);
    const socket = connect(Number(port), hostname);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    let text = '';
    socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
    socket.on('error', () => undefined);
    socket.write(['POST /v1/chat/completions HTTP/1.1', 'Host: x', 'Content-Type: application/json', ...headers, '', ''].join('\r\n'));
    return { socket, closed, text: () => text };
  };

  it('that asks before it sends its body is refused without having sent it', async () => {
    const { closed, text } = open(['Authorization: Bearer sk-nobody.nothing', `Content-Length: ${BODY.length}`, 'Expect: 100-continue']);
    await closed;
    expectError(read(text()), 401, 'invalid_api_key');
    expect(read(text()).headers.get('connection')).toBe('close');
  });

  it('and with one it is told to send its body, and answered', async () => {
    const client = open([`Authorization: ${harness.authorization}`, `Content-Length: ${BODY.length}`, 'Expect: 100-continue']);
    await waitFor(() => client.text() === 'HTTP/1.1 100 Continue\r\n\r\n', { what: '100 Continue' });
    client.socket.write(BODY);
    await client.closed;
    expect(client.text()).toContain('\r\n\r\nHTTP/1.1 200 OK\r\n');
  });
});

describe('the connection', () => {
  it('carries as many requests in advance as any client sends, and ends a connection that sends on without reading', async () => {
    const ask = 'GET /v1/models HTTP/1.1\r\nhost: gateway\r\n';
    const answers = async (times: number) => (await raw(`${`${ask}\r\n`.repeat(times - 1)}${ask}connection: close\r\n\r\n`)).split('HTTP/1.1 401 ').length - 1;
    expect(await answers(60)).toBe(60);
    expect(await answers(1000)).toBeLessThan(1000);
  });

  it('carries pipelined requests in their order', async () => {
    const second = request({ headers: ['X-Request-ID: second'] });
    const text = await raw(Buffer.concat([request({ headers: ['X-Request-ID: first'], connection: 'keep-alive' }), second]));
    expect([...text.matchAll(/x-request-id: (\w+)/g)].map((match) => match[1])).toEqual(['first', 'second']);
  });

  it('of a client of HTTP/1.0 ends with the stream, and says so', async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(`data: ${CHUNK}\n\ndata: [DONE]\n\n`);
      await exchange.endChunks();
    });
    const answer = read(await raw(request({ version: '1.0', body: BODY.replace('{', '{"stream":true,'), connection: 'keep-alive' })));
    expect(answer.headers.get('transfer-encoding')).toBeUndefined();
    expect(answer.body).toMatch(/^data: \{.*\n\ndata: \[DONE\]\n\n$/s);
  });

  it('of a streaming client is kept, with the headers that proxies need', async () => {
    upstream.once(async (exchange) => {
      await exchange.startEventStream();
      await exchange.chunk(`data: ${CHUNK}\n\ndata: [DONE]\n\n`);
      await exchange.endChunks();
    });
    const response = await harness.chat({ stream: true });
    expect(Object.fromEntries(['content-type', 'cache-control', 'connection', 'x-accel-buffering'].map((name) => [name, response.headers.get(name)]))).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    });
    await response.text();
  });
});

describe('the list of models', () => {
  it('answers HEAD as it answers GET, without the body, and with a slash at the end', async () => {
    const headers = { authorization: harness.authorization };
    for (const path of ['/v1/models', '/v1/models/', '/v1/models/chat']) {
      const head = await fetch(harness.edge.url + path, { method: 'HEAD', headers });
      const get = await fetch(harness.edge.url + path, { headers });
      expect([head.status, head.headers.get('content-length')]).toEqual([200, get.headers.get('content-length')]);
      expect(head.headers.get('x-budget-limit-cents')).not.toBeNull();
    }
  });
});
