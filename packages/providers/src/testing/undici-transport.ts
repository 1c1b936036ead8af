import { createTransport } from '../../../upstream/src/index.js';
import type { Transport, TransportRequest, TransportResponse } from '../spec/transport.js';

/**
 * The product's own transport, let loose on loopback. The import is relative since its package builds on this one: as a
 * dependency it would close a circle.
 */
export class UndiciTransport implements Transport {
  private readonly transport = createTransport({ connections: 16, allowlist: ['127.0.0.1'] });

  send(request: TransportRequest): Promise<TransportResponse> {
    return this.transport.send(request);
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}
