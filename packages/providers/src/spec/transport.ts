import type { CancelSignal } from './cancellation.js';

/** The sockets to providers. Adapters never open one themselves: the edge, the monitor and the tests pass a transport in. */
export interface TransportRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: Buffer | string;
  signal: CancelSignal;
  /** Longest wait for the response's headers. */
  headersTimeoutMs: number;
  /** Longest gap between two chunks of the response's body. */
  idleTimeoutMs: number;
  /**
   * The request goes to the cloud's instance metadata service, which the address guard refuses otherwise: then to 169.254.169.254
   * and nowhere else. Only for URLs that are written in code.
   */
  toInstanceMetadata?: boolean;
}

export interface TransportResponse {
  status: number;
  /** Lower-cased names; repeated headers joined by a comma. */
  headers: Record<string, string>;
  /** The whole body; rejects with ProviderError `malformed` past `bytesMax`. */
  bytes(bytesMax: number): Promise<Buffer>;
  /** The body as it arrives, with backpressure. Leaving the loop closes the connection. */
  chunks(): AsyncIterable<Buffer>;
}

/** Rejects with ProviderError `network` or `timeout`; never follows redirects. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
}
