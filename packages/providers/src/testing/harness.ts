import type { Transport, TransportRequest } from '../spec/transport.js';
import { UndiciTransport } from './undici-transport.js';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.js';

/** A provider's stand-in on a real socket, and a transport that brings everything to it, whatever host it was meant for. */
export class Harness {
  /** What the provider says next. */
  answer: (request: WireRequest) => WireAnswer = () => ({ status: 500, body: 'the test set no answer' });
  /** What the adapter sent, as it wanted it sent. */
  readonly sent: TransportRequest[] = [];
  readonly sockets = new UndiciTransport();

  private constructor(private wire: WireServer | undefined) {}

  static async start(): Promise<Harness> {
    const harness = new Harness(undefined);
    harness.wire = await WireServer.start((request) => harness.answer(request));
    return harness;
  }

  get server(): WireServer {
    return this.wire!;
  }

  readonly transport: Transport = {
    send: (request) => {
      this.sent.push(request);
      // Loopback is not where instance metadata may be asked for; what was wanted is in `sent`.
      return this.sockets.send({ ...request, url: request.url.replace(/^https?:\/\/[^/]+/, this.server.url), toInstanceMetadata: false });
    },
  };

  get lastUrl(): string {
    return this.sent.at(-1)!.url;
  }

  /** The JSON bodies that arrived, in order. */
  bodies(): any[] {
    return this.server.requests.map((request) => JSON.parse(request.body.toString()));
  }

  reset(answer: WireAnswer): void {
    this.server.requests.length = 0;
    this.sent.length = 0;
    this.answer = () => answer;
  }

  async close(): Promise<void> {
    await this.sockets.close();
    await this.server.close();
  }
}
