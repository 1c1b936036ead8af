import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WireRequest {
  method: string;
  /** Path with query. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface WireAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** Written one by one, each as a chunk of its own. */
  body: Buffer | string | readonly (Buffer | string)[];
  /** What happens after the body: a proper end, a reset connection, or nothing (until the client leaves). */
  then?: 'end' | 'reset' | 'hang';
}

/** A provider made of recorded bytes, on a real socket. It answers by a function of the request, and keeps the requests. */
export class WireServer {
  readonly requests: WireRequest[] = [];
  /** Resolves each time a client closes its connection before the answer ended. */
  aborted: Promise<void> = Promise.resolve();
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(answer: (request: WireRequest) => WireAnswer): Promise<WireServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const wire = new WireServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (req, res) => {
      const chunks: Buffer[] = [];
      wire.aborted = new Promise((resolve) => res.once('close', () => (res.writableFinished ? undefined : resolve())));
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const request = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body: Buffer.concat(chunks) };
        wire.requests.push(request);
        const { status = 200, headers = {}, body, then = 'end' } = answer(request);
        res.writeHead(status, headers);
        const parts: readonly (Buffer | string)[] = typeof body === 'string' || Buffer.isBuffer(body) ? [body] : body;
        const write = (i: number): void => {
          if (i < parts.length) res.write(parts[i]!, () => setImmediate(write, i + 1));
          else if (then === 'end') res.end();
          else if (then === 'reset') res.destroy();
        };
        write(0);
      });
    });
    return wire;
  }

  get last(): WireRequest {
    return this.requests.at(-1)!;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
