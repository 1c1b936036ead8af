import type { BedrockRuntimeClient, BedrockRuntimeClientConfig } from '@aws-sdk/client-bedrock-runtime';
import { LRUCache } from 'lru-cache';
import { AsyncLocalStorage } from 'node:async_hooks';
import { ERROR_BODY_BYTES_MAX } from '../kit/http.js';
import { untilAborted } from '../kit/until-aborted.js';
import { Cancellation, type CancelSignal } from '../spec/cancellation.js';
import { ProviderError } from '../spec/provider-error.js';
import type { Transport } from '../spec/transport.js';
import { toProviderError } from './errors.js';
import type { ClientSettings } from './settings.js';

/**
 * The AWS SDK over the gateway's own sockets. The SDK signs, serialises and reads event streams; the bytes travel through
 * the transport that came with the call, so its address guard, pool, deadlines and aborts hold here as everywhere. One
 * attempt per call: retries are the gateway's decision.
 *
 * The SDK is loaded with the first call, not with this module. Credentials of a profile or of the default chain may need calls of
 * their own: those to STS and SSO travel through the transport too, instance and container metadata over the SDK's own sockets.
 */
export type Sdk = typeof import('@aws-sdk/client-bedrock-runtime');

let loading: Promise<Sdk> | undefined;
export function loadSdk(): Promise<Sdk> {
  loading ??= import('@aws-sdk/client-bedrock-runtime');
  return loading;
}

/** Clients kept; the least recently used goes first. Each holds credentials and a signer, no sockets. */
const CLIENTS_MAX = 256;
const clients = new LRUCache<string, BedrockRuntimeClient>({ max: CLIENTS_MAX, dispose: (client) => client.destroy() });

export async function clientFor(settings: ClientSettings): Promise<BedrockRuntimeClient> {
  const cached = clients.get(settings.cacheKey);
  if (cached !== undefined) return cached;
  const [{ BedrockRuntimeClient: Client }, config] = await Promise.all([loadSdk(), configOf(settings)]);
  const client = clients.get(settings.cacheKey) ?? new Client(config);
  // The gateway retries, logs and traces itself; each of these would cost every call.
  for (const name of ['loggerMiddleware', 'recursionDetectionMiddleware', 'getUserAgentMiddleware']) client.middlewareStack.remove(name);
  // Signing takes its place behind the retries, so something must bear their name.
  client.middlewareStack.add((next) => next, { step: 'finalizeRequest', priority: 'high', name: 'retryMiddleware', override: true });
  clients.set(settings.cacheKey, client);
  return client;
}

async function configOf(settings: ClientSettings): Promise<BedrockRuntimeClientConfig> {
  const { credentials } = settings;
  // Without the cache the SDK would build its middleware anew for every call.
  const config: BedrockRuntimeClientConfig & { cacheMiddleware: boolean } = { maxAttempts: 1, requestHandler: new TransportHandler(), cacheMiddleware: true };
  if (settings.region !== undefined) config.region = settings.region;
  if (settings.endpoint !== undefined) config.endpoint = settings.endpoint;
  // An API key in the environment would otherwise win over the credentials that the route names.
  if (credentials.kind === 'static' || credentials.kind === 'profile') config.authSchemePreference = ['sigv4'];
  if (credentials.kind === 'static') config.credentials = credentials;
  if (credentials.kind === 'bearer') {
    config.token = { token: credentials.token };
    config.authSchemePreference = ['httpBearerAuth'];
  }
  if (credentials.kind === 'profile') {
    const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    config.profile = credentials.profile;
    config.credentials = fromNodeProviderChain({ profile: credentials.profile });
  }
  return config;
}

/** What one call needs below the SDK, and what it learns there. */
export interface WireContext {
  transport: Transport;
  signal: CancelSignal;
  headersTimeoutMs: number;
  idleTimeoutMs: number;
  responseBytesMax: number;
  /** Set by the handler: the answer's headers. */
  headers?: Record<string, string>;
}

interface SdkRequest {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query?: Record<string, string | string[] | null | undefined>;
  method: string;
  headers: Record<string, string>;
  body?: unknown;
}

interface SdkResponse {
  response: { statusCode: number; headers: Record<string, string>; body: unknown };
}

/** The call that runs: options would be another way to the handler, but the SDK does not keep its middleware for calls with options. */
const wires = new AsyncLocalStorage<WireContext>();

/** The SDK's request handler. */
class TransportHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' };

  async handle(request: SdkRequest): Promise<SdkResponse> {
    const wire = wires.getStore();
    if (wire === undefined) throw new Error('a Bedrock call without its transport');
    const { host: _host, 'content-length': _length, ...headers } = lowerCased(request.headers);
    const response = await wire.transport.send({
      method: request.method === 'GET' ? 'GET' : 'POST',
      url: urlOf(request),
      headers,
      body: bodyOf(request.body),
      signal: wire.signal,
      headersTimeoutMs: wire.headersTimeoutMs,
      idleTimeoutMs: wire.idleTimeoutMs,
    });
    wire.headers = response.headers;
    const failed = response.status >= 300;
    if (!failed && response.headers['content-type']?.startsWith('application/vnd.amazon.eventstream')) {
      // Handed on as it is: a Node stream around it would read ahead, and could then not be left at once.
      return { response: { statusCode: response.status, headers: response.headers, body: response.chunks() } };
    }
    const body = await response.bytes(failed ? Math.max(ERROR_BODY_BYTES_MAX, wire.responseBytesMax) : wire.responseBytesMax);
    return { response: { statusCode: response.status, headers: response.headers, body } };
  }

  destroy(): void {
    // The sockets belong to the transport.
  }

  updateHttpClientConfig(): void {
    // Deadlines come with each call.
  }

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }
}

function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function urlOf(request: SdkRequest): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, item ?? '');
  }
  const port = request.port === undefined ? '' : `:${request.port}`;
  const search = query.size === 0 ? '' : `?${query.toString()}`;
  return `${request.protocol}//${request.hostname}${port}${request.path}${search}`;
}

function bodyOf(body: unknown): Buffer | string | undefined {
  if (body === undefined || body === null || typeof body === 'string') return body ?? undefined;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  throw new ProviderError('malformed', { internal: 'a request body that is neither text nor bytes' });
}

/** Runs one SDK call. Whatever fails is thrown as a ProviderError; an abort by the caller stays what it is. */
export async function run<T>(settings: ClientSettings, wire: WireContext, call: (client: BedrockRuntimeClient, sdk: Sdk) => Promise<T>): Promise<T> {
  try {
    const work = wires.run(wire, async () => {
      const [client, sdk] = await Promise.all([clientFor(settings), loadSdk()]);
      return call(client, sdk);
    });
    return await untilAborted(work, wire.signal);
  } catch (error) {
    throw toProviderError(error, wire.signal);
  }
}

/** Runs a call whose answer is a stream of events, and hands out the events. Leaving their loop closes the connection. */
export async function runStream<T>(
  settings: ClientSettings,
  wire: WireContext,
  call: (client: BedrockRuntimeClient, sdk: Sdk) => Promise<T>,
): Promise<{ output: T; events<E>(stream: AsyncIterable<E> | undefined): AsyncGenerator<E, void, undefined> }> {
  // The SDK does not hand a reader's leaving down to the bytes, so leaving aborts the exchange.
  const left = new Cancellation();
  const giveUp = (): void => left.abort(wire.signal.reason);
  if (wire.signal.aborted) giveUp();
  wire.signal.addEventListener('abort', giveUp, { once: true });
  const own = { ...wire, signal: left };
  const output = await run(settings, own, call);
  return { output, events: (stream) => eventsOf(stream, wire.signal, left) };
}

async function* eventsOf<E>(stream: AsyncIterable<E> | undefined, signal: CancelSignal, left: Cancellation): AsyncGenerator<E, void, undefined> {
  if (stream === undefined) throw new ProviderError('malformed', { internal: 'an answer without a stream' });
  let ended = false;
  try {
    for await (const event of stream) yield event;
    ended = true;
  } catch (error) {
    ended = true;
    throw toProviderError(error, signal);
  } finally {
    if (!ended) left.abort();
  }
}

/** The body of an answer that was not streamed; the SDK leaves an empty one out. */
export function bytesOf(body: Uint8Array | null | undefined): Buffer {
  return body === undefined || body === null ? Buffer.alloc(0) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
