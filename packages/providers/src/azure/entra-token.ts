import { ProviderError } from '../spec/provider-error.js';
import type { Transport, TransportResponse } from '../spec/transport.js';
import { responseError } from '../kit/http.js';
import { parseJsonObject } from '../kit/safe-json.js';
import type { AuthorizeContext } from '../openai-compatible/adapter.js';

/**
 * Access tokens of Microsoft Entra ID, by one of three proofs: a client's secret (OAuth 2.0, RFC 6749 section 4.4), the token of
 * a Kubernetes service account in its place (workload identity, RFC 7523), or the machine itself (managed identity, asked of
 * the instance metadata service). One token per route; calls that come while the first one is fetched share it, and it is
 * renewed beside the calls shortly before its end.
 */
export type EntraCredentials = { scope: string } & (
  | { kind: 'client_secret'; authorityHost: string; tenantId: string; clientId: string; clientSecret: string }
  | { kind: 'workload_identity'; authorityHost: string; tenantId: string; clientId: string; readAssertion: () => Promise<string> }
  // `clientId` names one of several identities of the machine.
  | { kind: 'managed_identity'; clientId: string | undefined }
);

const RENEW_BEFORE_END_MS = 300_000;
/** A token so close to its end may be refused before the call arrives: then the call waits for a new one. */
const UNUSABLE_BEFORE_END_MS = 30_000;
/** After a renewal that failed, while the old token still works. */
const RENEW_AGAIN_MS = 10_000;
const TOKEN_BYTES_MAX = 64 * 1024;
/** Its own limit: one caller that leaves must not take the token from the others. */
const FETCH_TIMEOUT_MS = 10_000;
const INSTANCE_METADATA_URL = 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01';

export class EntraTokenSource {
  private token = '';
  private renewAtMs = 0;
  private usableUntilMs = 0;
  private pending: Promise<string> | undefined;

  constructor(private readonly credentials: EntraCredentials) {}

  /** The token itself while it is good; a promise while there is none. Rejects with ProviderError. */
  get({ transport }: Pick<AuthorizeContext, 'transport'>): string | Promise<string> {
    const nowMs = Date.now();
    if (nowMs < this.renewAtMs) return this.token;
    if (nowMs >= this.usableUntilMs) return this.renew(transport);
    this.renewAtMs = nowMs + RENEW_AGAIN_MS;
    this.renew(transport).catch(() => undefined);
    return this.token;
  }

  forget(): void {
    this.renewAtMs = this.usableUntilMs = 0;
  }

  private renew(transport: Transport): Promise<string> {
    return (this.pending ??= this.request(transport).finally(() => (this.pending = undefined)));
  }

  private async request(transport: Transport): Promise<string> {
    const response = await ask(transport, this.credentials);
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
    const endMs = Date.now() + (Number.isFinite(lifeMs) ? lifeMs : 0);
    this.renewAtMs = endMs - RENEW_BEFORE_END_MS;
    this.usableUntilMs = endMs - UNUSABLE_BEFORE_END_MS;
    return token;
  }
}

async function ask(transport: Transport, credentials: EntraCredentials): Promise<TransportResponse> {
  const limits = { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS), headersTimeoutMs: FETCH_TIMEOUT_MS, idleTimeoutMs: FETCH_TIMEOUT_MS };
  if (credentials.kind === 'managed_identity') {
    const query = new URLSearchParams({ resource: credentials.scope.replace(/\/\.default$/, '') });
    if (credentials.clientId !== undefined) query.set('client_id', credentials.clientId);
    const url = `${INSTANCE_METADATA_URL}&${query}`;
    return transport.send({ method: 'GET', url, headers: { metadata: 'true', accept: 'application/json' }, toInstanceMetadata: true, ...limits });
  }
  const { authorityHost, tenantId, clientId, scope } = credentials;
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope });
  if (credentials.kind === 'client_secret') form.set('client_secret', credentials.clientSecret);
  else {
    form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    form.set('client_assertion', await assertion(credentials.readAssertion));
  }
  return transport.send({
    method: 'POST',
    url: `${authorityHost}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    ...limits,
  });
}

/** Read anew each time: Kubernetes replaces the file long before its token ends. */
async function assertion(read: () => Promise<string>): Promise<string> {
  try {
    return (await read()).trim();
  } catch (cause) {
    throw new ProviderError('auth', { internal: 'the token of the service account cannot be read', cause });
  }
}
