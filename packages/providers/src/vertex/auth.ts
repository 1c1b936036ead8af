import { createHash } from 'node:crypto';
import type { AnyAuthClient, ExternalAccountClientOptions, JWTOptions } from 'google-auth-library';
import { LRUCache } from 'lru-cache';
import { untilAborted } from '../kit/until-aborted.js';
import type { CancelSignal } from '../spec/cancellation.js';
import { ProviderError } from '../spec/provider-error.js';
import type { Transport } from '../spec/transport.js';

/**
 * Access tokens by google-auth-library, whose requests go through the gateway's transport. Tokens are kept until shortly
 * before they run out, and calls that need one at the same moment wait for one request. The library is loaded with the first
 * call that needs it. Only the default chain's metadata server is asked over the library's own connection, since the
 * transport's address guard refuses such addresses.
 */
type Library = typeof import('google-auth-library');
type GaxiosOptions = NonNullable<JWTOptions['transporterOptions']>;

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_TIMEOUT_MS = 10_000;
const TOKEN_BYTES_MAX = 256 * 1024;
/** Token sources kept; the least recently used goes first. */
const SOURCES_MAX = 256;
const sources = new LRUCache<string, TokenSource>({ max: SOURCES_MAX });

export async function accessToken(credentials: Record<string, unknown> | undefined, transport: Transport, signal: CancelSignal): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify(credentials ?? null))
    .digest('base64');
  let source = sources.get(key);
  if (source === undefined) {
    source = new TokenSource(credentials);
    sources.set(key, source);
  }
  return untilAborted(source.token(transport), signal);
}

class TokenSource {
  /** The transport of the last call; a token request outlives the call that caused it and may serve others. */
  private transport: Transport | undefined;
  private loading: Promise<AnyAuthClient> | undefined;

  constructor(private readonly credentials: Record<string, unknown> | undefined) {}

  async token(transport: Transport): Promise<string> {
    this.transport = transport;
    try {
      this.loading ??= this.load();
      const client = await this.loading;
      const { token } = await client.getAccessToken();
      if (!token) throw new ProviderError('auth', { internal: 'no access token came back' });
      return token;
    } catch (error) {
      throw authError(error);
    }
  }

  private async load(): Promise<AnyAuthClient> {
    try {
      const library = await import('google-auth-library');
      if (this.credentials === undefined) return await new library.GoogleAuth({ scopes: [SCOPE] }).getClient();
      const transporterOptions: GaxiosOptions = { fetchImplementation: (input, init) => this.forward(input, init) };
      return clientOf(library, this.credentials, transporterOptions);
    } catch (error) {
      this.loading = undefined;
      throw error;
    }
  }

  /** The library's requests in the transport's words. */
  private async forward(input: Parameters<typeof fetch>[0], init: Parameters<typeof fetch>[1]): Promise<Response> {
    const request = new Request(input, init);
    const response = await this.transport!.send({
      method: request.method === 'GET' ? 'GET' : 'POST',
      url: request.url,
      headers: Object.fromEntries(request.headers),
      ...(request.method === 'GET' ? {} : { body: Buffer.from(await request.arrayBuffer()) }),
      signal: AbortSignal.timeout(TOKEN_TIMEOUT_MS),
      headersTimeoutMs: TOKEN_TIMEOUT_MS,
      idleTimeoutMs: TOKEN_TIMEOUT_MS,
    });
    const body = await response.bytes(TOKEN_BYTES_MAX);
    return new Response(new Uint8Array(body), { status: response.status, headers: response.headers });
  }
}

/** Service accounts, a person's own login, and identities of other clouds (workload identity federation). */
function clientOf(library: Library, credentials: Record<string, unknown>, transporterOptions: GaxiosOptions): AnyAuthClient {
  const text = (name: string): string | undefined => (typeof credentials[name] === 'string' ? credentials[name] : undefined);
  switch (credentials.type) {
    case 'service_account':
      return new library.JWT({ email: text('client_email'), key: text('private_key'), keyId: text('private_key_id'), scopes: [SCOPE], transporterOptions });
    case 'authorized_user':
      return new library.UserRefreshClient({
        clientId: text('client_id'),
        clientSecret: text('client_secret'),
        refreshToken: text('refresh_token'),
        transporterOptions,
      });
    case 'external_account': {
      const client = library.ExternalAccountClient.fromJSON({ ...credentials, scopes: [SCOPE], transporterOptions } as unknown as ExternalAccountClientOptions);
      if (client !== null) return client;
    }
  }
  throw new ProviderError('auth', { internal: 'credentials of a kind that is not known' });
}

/** The transport's own failures keep their kind; all else is a matter of the credentials. The library's texts may quote them. */
function authError(error: unknown): ProviderError {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (cause instanceof ProviderError) return cause;
  }
  return new ProviderError('auth', { internal: 'no access token for the route', cause: error });
}
