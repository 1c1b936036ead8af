import { createServer, type Server, type Socket } from 'node:net';
import { addCleanup } from './cleanup.js';
import { HttpRequestReader, type RecordedRequest } from './http-request-reader.js';
import { waitFor } from './wait-for.js';

/**
 * A provider whose every byte the test decides. It speaks through a raw socket: what the script writes is what arrives,
 * in those pieces, when the test says so. Only the reading of requests knows HTTP.
 */
export class UpstreamExchange {
  readonly request: RecordedRequest;
  private readonly socket: Socket;
  private gone = false;

  constructor(request: RecordedRequest, socket: Socket) {
    this.request = request;
    this.socket = socket;
    socket.once('close', () => (this.gone = true));
  }

  /** True when the gateway closed the connection, for example since its client left. */
  get aborted(): boolean {
    return this.gone;
  }

  /** Resolves when the other side (or the script) closed the connection. */
  async waitForClose(): Promise<void> {
    await waitFor(() => this.gone, { what: 'the gateway to close the upstream connection' });
  }

  /** Writes exactly these bytes and resolves when the system took them; false when the connection is gone. */
  write(bytes: string | Uint8Array): Promise<boolean> {
    if (this.gone || this.socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => this.socket.write(bytes, (error) => resolve(error === null || error === undefined)));
  }

  /** Status line and headers as given; the script writes the body (and its framing) itself. */
  head(status: number, headers: Record<string, string>): Promise<boolean> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return this.write(`HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`);
  }

  /** One piece of a `transfer-encoding: chunked` body. */
  chunk(bytes: string | Uint8Array): Promise<boolean> {
    const body = Buffer.from(bytes as Uint8Array);
    return this.write(Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]));
  }

  endChunks(): Promise<boolean> {
    return this.write('0\r\n\r\n');
  }

  /** A whole answer with a Content-Length; the connection stays open for the next request. */
  async respond(status: number, body: unknown, headers: Record<string, string> = {}): Promise<void> {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const contentType = typeof body === 'string' ? 'text/plain' : 'application/json';
    await this.head(status, { 'content-type': contentType, 'content-length': String(bytes.length), ...headers });
    await this.write(bytes);
  }

  /** Starts an event stream; follow with `chunk()` and `endChunks()`. */
  startEventStream(headers: Record<string, string> = {}): Promise<boolean> {
    return this.head(200, { 'content-type': 'text/event-stream; charset=utf-8', 'transfer-encoding': 'chunked', ...headers });
  }

  /** A whole event stream of JSON events, ended by `[DONE]`. */
  async respondEvents(events: readonly unknown[]): Promise<void> {
    await this.startEventStream();
    for (const event of events) await this.chunk(`data: ${JSON.stringify(event)}\n\n`);
    await this.chunk('data: [DONE]\n\n');
    await this.endChunks();
  }

  /** FIN: an orderly close, perhaps in the middle of a message. */
  close(): void {
    this.socket.end();
  }

  /** RST: the provider's machine died. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

export type UpstreamScript = (exchange: UpstreamExchange) => void | Promise<void>;

export interface FakeUpstream {
  /** `http://127.0.0.1:<port>`, without a path. */
  origin: string;
  port: number;
  /** Every request so far, in order of arrival, whole bodies included. */
  requests: RecordedRequest[];
  /** Exchanges in the same order, to look at `aborted`. */
  exchanges: UpstreamExchange[];
  /** Connections accepted so far (to see reuse). */
  readonly connections: number;
  /** Replaces what happens to requests from now on. */
  script(next: UpstreamScript): void;
  /** Runs for the next request only, before the standing script; several queue up. */
  once(next: UpstreamScript): void;
  close(): Promise<void>;
}

const REQUESTS_KEPT_MAX = 100_000;

/** Without a script every request hangs before the headers: the least that an unprepared provider can do. */
export async function startFakeUpstream(script: UpstreamScript = () => undefined): Promise<FakeUpstream> {
  let standing = script;
  const queued: UpstreamScript[] = [];
  const sockets = new Set<Socket>();
  const requests: RecordedRequest[] = [];
  const exchanges: UpstreamExchange[] = [];
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    // Every exchange on a kept-alive connection listens for its end.
    socket.setMaxListeners(0);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    const reader = new HttpRequestReader((request) => {
      if (requests.length >= REQUESTS_KEPT_MAX) throw new Error(`the fake upstream keeps at most ${REQUESTS_KEPT_MAX} requests`);
      const exchange = new UpstreamExchange(request, socket);
      requests.push(request);
      exchanges.push(exchange);
      const run = queued.shift() ?? standing;
      Promise.resolve(run(exchange)).catch(() => exchange.reset());
    });
    socket.on('data', (bytes) => reader.push(bytes));
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  const port = (server.address() as { port: number }).port;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  addCleanup(close);
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    exchanges,
    get connections() {
      return connections;
    },
    script: (next) => void (standing = next),
    once: (next) => void queued.push(next),
    close,
  };
}
