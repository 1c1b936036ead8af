import { createHash } from 'node:crypto';
import type { AnyAuthClient, GoogleAuth, GoogleAuthOptions } from 'google-auth-library';
import { LRUCache } from 'lru-cache';
import { ProviderError } from '../spec/provider-error.js';
import type { Transport } from '../spec/transport.js';

/**
 * Access tokens by google-auth-library, whose requests go through the gateway's transport. Tokens are kept until shortly
 * before they run out, and calls that need one at the same moment wait for one request. The library is loaded with the first
 * call that needs it. Only the default chain's metadata server is asked over the library's own connection, since the
 * transport's address guard refuses such addresses.
 */
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_TIMEOUT_MS = 10_000;
const TOKEN_BYTES_MAX = 256 * 1024;
/** Token sources kept; the least recently used goes first. */
const SOURCES_MAX = 256;
const sources = new LRUCache<string, TokenSource>({ max: SOURCES_MAX });

export async function accessToken(credentials: Record<string, unknown> | undefined, transport: Transport): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify(credentials ?? null))
    .digest('base64');
  let source = sources.get(key);
  if (source === undefined) {
    source = new TokenSource(credentials);
    sources.set(key, source);
  }
  return source.token(transport);
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
      const options: GoogleAuthOptions = { scopes: [SCOPE] };
      if (this.credentials !== undefined) {
        options.credentials = this.credentials as GoogleAuthOptions['credentials'];
        options.clientOptions = { transporterOptions: { fetchImplementation: (input, init) => this.forward(input, init) } };
      }
      const auth: GoogleAuth = new library.GoogleAuth(options);
      return await auth.getClient();
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

/** The transport's own failures keep their kind; all else is a matter of the credentials. The library's texts may quote them. */
function authError(error: unknown): ProviderError {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (cause instanceof ProviderError) return cause;
  }
  return new ProviderError('auth', { internal: 'no access token for the route', cause: error });
}
