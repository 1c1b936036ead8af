import { ProviderError } from '../spec/provider-error.js';
import { responseError } from '../kit/http.js';
import { parseJsonObject } from '../kit/safe-json.js';
import type { AuthorizeContext } from '../openai-compatible/adapter.js';

/**
 * Access tokens of Microsoft Entra ID by client credentials (OAuth 2.0, RFC 6749 section 4.4). One token per route, kept
 * until shortly before it ends; calls that come while one is being fetched share it.
 */
export interface EntraCredentials {
  /** `https://login.microsoftonline.com`, or the host of another cloud. */
  authorityHost: string;
  tenantId: string;
  clientId: string;
  clientSecret: string;
  scope: string;
}

const RENEW_BEFORE_END_MS = 300_000;
const TOKEN_BYTES_MAX = 64 * 1024;
/** Its own limit: one caller that leaves must not take the token from the others. */
const FETCH_TIMEOUT_MS = 10_000;

export class EntraTokenSource {
  private token = '';
  private validUntilMs = 0;
  private pending: Promise<string> | undefined;

  constructor(private readonly credentials: EntraCredentials) {}

  /** The token itself while it is good; a promise while it has to be fetched. Rejects with ProviderError. */
  get(context: Pick<AuthorizeContext, 'transport'>): string | Promise<string> {
    if (Date.now() < this.validUntilMs) return this.token;
    return (this.pending ??= this.request(context).finally(() => (this.pending = undefined)));
  }

  forget(): void {
    this.validUntilMs = 0;
  }

  private async request({ transport }: Pick<AuthorizeContext, 'transport'>): Promise<string> {
    const { authorityHost, tenantId, clientId, clientSecret, scope } = this.credentials;
    const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope });
    const response = await transport.send({
      method: 'POST',
      url: `${authorityHost}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: form.toString(),
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      headersTimeoutMs: FETCH_TIMEOUT_MS,
      idleTimeoutMs: FETCH_TIMEOUT_MS,
    });
    if (response.status !== 200) {
      const error = await responseError(response);
      // A refused client is a 400 there; here it means that the gateway's own credentials are wrong.
      if (response.status !== 400) throw error;
      throw new ProviderError('auth', { status: 400, ...(error.internal === undefined ? {} : { internal: error.internal }) });
    }
    const body = parseJsonObject(await response.bytes(TOKEN_BYTES_MAX), 'the token answer');
    const { access_token: token, expires_in: seconds } = body;
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw new ProviderError('malformed', { internal: 'the token answer holds no token' });
    this.token = token;
    const lifeMs = Number(seconds) * 1000;
    this.validUntilMs = Date.now() + Math.max(0, (Number.isFinite(lifeMs) ? lifeMs : 0) - RENEW_BEFORE_END_MS);
    return token;
  }
}
