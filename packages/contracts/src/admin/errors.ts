/**
 * Every error a client of `/admin` can get: `{"error": <public text>, "code": <slug>}`.
 *
 * The texts never hold SQL, ids of other tenants or provider text. `error` may be made more exact where it is thrown.
 */
export interface AdminErrorEntry {
  status: number;
  message: string;
}

export const ADMIN_ERRORS = {
  invalid_request: { status: 400, message: 'The request is invalid.' },
  invalid_json: { status: 400, message: 'The request body is not valid JSON.' },
  invalid_id: { status: 400, message: 'The id is not a UUID.' },
  missing_refresh_token: { status: 400, message: 'No refresh token was sent.' },
  oidc_state_missing: { status: 400, message: 'The sign-in state is missing.' },
  unauthenticated: { status: 401, message: 'Sign in to use this.' },
  invalid_download_link: {
    status: 401,
    message:
      'The download link has expired, or was not copied whole: it opens one address, for a minute, while the login or token lasts that made it. Make a new one.',
  },
  invalid_credentials: { status: 401, message: 'E-mail or password is wrong.' },
  invalid_refresh_token: { status: 401, message: 'The session has ended. Sign in again.' },
  forbidden: { status: 403, message: 'Your role does not allow this.' },
  origin_not_allowed: { status: 403, message: 'The request comes from a foreign origin.' },
  not_found: { status: 404, message: 'Not found.' },
  method_disabled: { status: 404, message: 'This sign-in method is disabled.' },
  conflict: { status: 409, message: 'The change conflicts with the current state.' },
  name_taken: { status: 409, message: 'The name is taken.' },
  account_exists: { status: 409, message: 'The account exists; its password is not changed here.' },
  last_owner: { status: 409, message: 'A tenant keeps at least one owner.' },
  personal_tenant: { status: 409, message: 'A personal tenant cannot be changed this way.' },
  version_conflict: { status: 409, message: 'It was changed meanwhile. Read it again.' },
  request_too_large: { status: 413, message: 'The request body is too large.' },
  unsupported_media_type: { status: 415, message: 'The content type must be application/json.' },
  unprocessable: { status: 422, message: 'The provider layer refused the change.' },
  too_many_attempts: { status: 429, message: 'Too many failed attempts. Try again later.' },
  internal_error: { status: 500, message: 'Internal error.' },
  delivery_failed: { status: 502, message: 'The message could not be delivered.' },
  unavailable: { status: 503, message: 'A service that this needs is not available.' },
} as const satisfies Record<string, AdminErrorEntry>;

export type AdminErrorCode = keyof typeof ADMIN_ERRORS;

export interface AdminErrorOptions {
  /** Replaces the catalogue's text; written by us. */
  message?: string;
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** An outcome that the client of the admin API is told about. Anything else that is thrown becomes a plain 500. */
export class AdminError extends Error {
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: AdminErrorCode,
    options: AdminErrorOptions = {},
  ) {
    super(options.message ?? ADMIN_ERRORS[code].message, { cause: options.cause });
    this.name = 'AdminError';
    this.status = ADMIN_ERRORS[code].status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  toBody(): { error: string; code: AdminErrorCode } {
    return { error: this.message, code: this.code };
  }
}
