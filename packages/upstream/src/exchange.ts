import { ProviderError, type TransportRequest, type TransportResponse } from '@omg/providers/spec';
import type { Dispatcher } from 'undici';
import { bodyTooLarge, toProviderError } from './errors.js';

type Headers = Record<string, string>;

/** Above this the socket is not read further, so that the reader's pace becomes the provider's; below half of it again. */
const BUFFERED_BYTES_MAX = 64 * 1024;

interface Waiter {
  resolve: (result: IteratorResult<Buffer>) => void;
  reject: (error: ProviderError) => void;
}

const END: IteratorResult<Buffer> = { done: true, value: undefined };

/**
 * One request on its socket: undici's handler on one side, the body's reader on the other. Ends exactly once, by the last byte,
 * an error, a timeout, the caller's abort or the reader leaving; whatever comes later is ignored. Every early end closes this
 * request's socket and no other.
 */
export class Exchange implements Dispatcher.DispatchHandler, AsyncIterator<Buffer> {
  private controller: Dispatcher.DispatchController | undefined;
  private timer: NodeJS.Timeout | undefined;
  private error: ProviderError | undefined;
  private hasHeaders = false;
  private isOver = false;
  private isTaken = false;
  private isPaused = false;
  /** Headers and pieces of the body so far. */
  private arrivals = 0;
  private queue: Buffer[] = [];
  private queuedBytes = 0;
  private waiter: Waiter | undefined;
  private readonly onAbort = () => {
    const { reason } = this.request.signal;
    this.queue = [];
    this.end(reason instanceof ProviderError ? reason : new ProviderError('network', { internal: 'aborted by the caller', cause: reason }));
  };

  constructor(
    private readonly request: TransportRequest,
    private readonly resolve: (response: TransportResponse) => void,
    private readonly reject: (error: ProviderError) => void,
    /** Called once, at the end. */
    private readonly onEnd: () => void,
  ) {
    const { headersTimeoutMs, signal } = request;
    this.timer = this.deadline(headersTimeoutMs);
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.isOver) controller.abort(new Error('over before it started'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: Record<string, string | string[] | undefined>): void {
    // 1xx answers precede the real one.
    if (this.isOver || statusCode < 200) return;
    this.hasHeaders = true;
    this.arrivals++;
    const { headersTimeoutMs, idleTimeoutMs } = this.request;
    if (idleTimeoutMs === headersTimeoutMs) this.timer?.refresh();
    else this.watchIdle();
    this.resolve(new Response(statusCode, flatten(headers), this));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isOver) return;
    this.arrivals++;
    const { waiter } = this;
    if (waiter) {
      this.waiter = undefined;
      this.timer?.refresh();
      waiter.resolve({ done: false, value: chunk });
      return;
    }
    this.queue.push(chunk);
    this.queuedBytes += chunk.length;
    if (this.queuedBytes < BUFFERED_BYTES_MAX) return void this.timer?.refresh();
    this.isPaused = true;
    controller.pause();
    // While the reader is slow, silence is not the provider's fault. A body that nobody ever began to read is a leak.
    if (this.isTaken) clearTimeout(this.timer);
  }

  onResponseEnd(): void {
    this.end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.end(toProviderError(error));
  }

  /** The body has one reader. */
  take(): void {
    if (this.isTaken) throw new Error('the body was taken before');
    this.isTaken = true;
  }

  next(): Promise<IteratorResult<Buffer>> {
    const chunk = this.queue.shift();
    if (chunk) {
      this.queuedBytes -= chunk.length;
      if (this.isPaused && this.queuedBytes <= BUFFERED_BYTES_MAX / 2) this.unpause();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.isOver) return this.error ? Promise.reject(this.error) : Promise.resolve(END);
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject };
    });
  }

  /** The reader does not want the rest. */
  return(): Promise<IteratorResult<Buffer>> {
    this.queue = [];
    this.end(new ProviderError('network', { internal: 'the reader left' }));
    return Promise.resolve(END);
  }

  private unpause(): void {
    this.isPaused = false;
    if (this.isOver) return;
    this.watchIdle();
    this.controller?.resume();
  }

  private watchIdle(): void {
    const { idleTimeoutMs } = this.request;
    clearTimeout(this.timer);
    this.timer = this.deadline(idleTimeoutMs);
  }

  /**
   * Ends the exchange when nothing comes for so long. After a stall of this process timers run before the sockets are read: what
   * lies in the socket by then came in time, and the provider has been paid for it.
   */
  private deadline(timeoutMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      const { arrivals } = this;
      setImmediate(() => {
        if (this.arrivals !== arrivals) return;
        const missing = this.hasHeaders ? 'no byte of the body' : 'no response headers';
        this.end(new ProviderError('timeout', { internal: `${missing} within ${timeoutMs} ms` }));
      });
    }, timeoutMs);
  }

  /** `undefined`: the last byte is here. What is queued can still be read, before the error too. */
  private end(error: ProviderError | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    this.error = error;
    clearTimeout(this.timer);
    this.request.signal.removeEventListener('abort', this.onAbort);
    if (error) this.controller?.abort(error);
    this.onEnd();
    if (!this.hasHeaders) this.reject(error ?? new ProviderError('network', { internal: 'ended without an answer' }));
    const { waiter } = this;
    this.waiter = undefined;
    if (error) waiter?.reject(error);
    else waiter?.resolve(END);
  }
}

class Response implements TransportResponse {
  constructor(
    readonly status: number,
    readonly headers: Headers,
    private readonly exchange: Exchange,
  ) {}

  async bytes(bytesMax: number): Promise<Buffer> {
    const { exchange } = this;
    exchange.take();
    const parts: Buffer[] = [];
    let size = 0;
    let isTooLarge = Number(this.headers['content-length']) > bytesMax;
    while (!isTooLarge) {
      const { done, value } = await exchange.next();
      if (done) return parts.length === 1 ? parts[0]! : Buffer.concat(parts, size);
      size += value.length;
      isTooLarge = size > bytesMax;
      parts.push(value);
    }
    await exchange.return();
    throw bodyTooLarge(bytesMax);
  }

  chunks(): AsyncIterable<Buffer> {
    this.exchange.take();
    return { [Symbol.asyncIterator]: () => this.exchange };
  }
}

function flatten(headers: Record<string, string | string[] | undefined>): Headers {
  const flat: Headers = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return flat;
}
