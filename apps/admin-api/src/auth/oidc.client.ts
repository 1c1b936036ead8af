import { Inject, Injectable, Logger } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import * as oidc from 'openid-client';
import { AUTH_SETTINGS, type AuthSettings, type OidcSettings } from './auth.settings.js';

/** What the provider says about who signed in, after every check of the protocol. */
export interface VerifiedIdentity {
  issuer: string;
  subject: string;
  claims: Record<string, unknown>;
}

export interface AuthorizationRequest {
  state: string;
  nonce: string;
  codeVerifier: string;
}

/** After a failed discovery the provider is left alone for this long. */
const DISCOVERY_PAUSE_MS = 5_000;

/**
 * The protocol with the provider: discovery when it is first needed (a provider that is down keeps nobody from starting),
 * code flow with PKCE, and the checks of the ID token by openid-client: signature, issuer, audience, expiry, nonce.
 */
@Injectable()
export class OidcClient {
  private readonly logger = new Logger('oidc');
  private discovered: Promise<oidc.Configuration> | undefined;
  private pauseUntilMs = 0;

  constructor(@Inject(AUTH_SETTINGS) private readonly auth: AuthSettings) {}

  get settings(): OidcSettings {
    if (!this.auth.oidc) throw new AdminError('method_disabled');
    return this.auth.oidc;
  }

  async authorizationUrl(request: AuthorizationRequest): Promise<string> {
    const { settings } = this;
    const url = oidc.buildAuthorizationUrl(await this.configuration(), {
      redirect_uri: settings.redirectUrl,
      scope: settings.scopes.join(' '),
      state: request.state,
      nonce: request.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(request.codeVerifier),
      code_challenge_method: 'S256',
    });
    return url.toString();
  }

  /** Exchanges the code of a callback. Throws for anything that is not exactly the answer to `request`. */
  async exchange(callbackQuery: URLSearchParams, request: AuthorizationRequest): Promise<VerifiedIdentity> {
    const { settings } = this;
    const configuration = await this.configuration();
    // The registered redirect URL, not the one that the request claims to have come in on.
    const callback = new URL(settings.redirectUrl);
    callback.search = callbackQuery.toString();
    const tokens = await oidc.authorizationCodeGrant(configuration, callback, {
      pkceCodeVerifier: request.codeVerifier,
      expectedState: request.state,
      expectedNonce: request.nonce,
      idTokenExpected: true,
    });
    const idToken = tokens.claims()!;
    if (idToken.iss !== configuration.serverMetadata().issuer) throw new Error('the ID token has another issuer');
    const claims = await this.withUserInfo(configuration, tokens.access_token, idToken);
    return { issuer: idToken.iss, subject: idToken.sub, claims };
  }

  /** Many providers put mail and groups only into userinfo. What the signed ID token says wins. */
  private async withUserInfo(configuration: oidc.Configuration, accessToken: string, idToken: oidc.IDToken): Promise<Record<string, unknown>> {
    const wanted = ['email', 'email_verified', ...(this.settings.rolesClaim ? [this.settings.rolesClaim] : [])];
    if (wanted.every((claim) => idToken[claim] !== undefined) || !configuration.serverMetadata().userinfo_endpoint) return { ...idToken };
    const info = await oidc.fetchUserInfo(configuration, accessToken, idToken.sub);
    return { ...info, ...idToken };
  }

  private configuration(): Promise<oidc.Configuration> {
    if (this.discovered) return this.discovered;
    if (Date.now() < this.pauseUntilMs)
      return Promise.reject(new AdminError('unavailable', { message: 'The sign-in provider cannot be reached.', retryAfterSeconds: 5 }));
    const { settings } = this;
    const issuer = new URL(settings.issuer);
    this.discovered = oidc
      .discovery(
        issuer,
        settings.clientId,
        { client_secret: settings.clientSecret, id_token_signed_response_alg: undefined },
        oidc.ClientSecretPost(settings.clientSecret),
        {
          timeout: Math.max(1, Math.ceil(settings.httpTimeoutMs / 1000)),
          // Only an issuer that is configured with http itself, such as one on localhost, is spoken to without TLS.
          ...(issuer.protocol === 'http:' && { execute: [oidc.allowInsecureRequests] }),
        },
      )
      .catch((error: unknown) => {
        this.discovered = undefined;
        this.pauseUntilMs = Date.now() + DISCOVERY_PAUSE_MS;
        this.logger.warn(`discovery failed: ${error instanceof Error ? error.name : 'unknown'}`);
        throw new AdminError('unavailable', { message: 'The sign-in provider cannot be reached.', retryAfterSeconds: 5, cause: error });
      });
    return this.discovered;
  }
}
