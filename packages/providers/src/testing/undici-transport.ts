import { Agent, type Dispatcher } from 'undici';
import { ProviderError } from '../spec/provider-error.js';
import type { Transport, TransportRequest, TransportResponse } from '../spec/transport.js';

/** A plain transport over real sockets, for the tests of this package. The product's own lives in its own package. */
export class UndiciTransport implements Transport {
  private readonly agent = new Agent({ connections: 16 });

  async send(request: TransportRequest): Promise<TransportResponse> {
    const { statusCode, headers, body } = await this.agent
      .request({
        origin: new URL(request.url).origin,
        path: request.url.slice(new URL(request.url).origin.length),
        method: request.method,
        headers: request.headers,
        ...(request.body === undefined ? {} : { body: request.body }),
        signal: request.signal,
        headersTimeout: request.headersTimeoutMs,
        bodyTimeout: request.idleTimeoutMs,
      })
      .catch((error: unknown) => {
        throw transportError(error);
      });
    const names = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]);
    return {
      status: statusCode,
      headers: Object.fromEntries(names) as Record<string, string>,
      bytes: (max) => readAll(body, max),
      chunks: () => chunksOf(body),
    };
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }
}

async function* chunksOf(body: Dispatcher.ResponseData['body']): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    throw transportError(error);
  }
}

async function readAll(body: Dispatcher.ResponseData['body'], bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(body)) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ProviderError('malformed', { internal: 'the answer is too long' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function transportError(cause: unknown): ProviderError {
  const code = (cause as { code?: string }).code ?? '';
  return new ProviderError(code.endsWith('_TIMEOUT') ? 'timeout' : 'network', { internal: code, cause });
}
