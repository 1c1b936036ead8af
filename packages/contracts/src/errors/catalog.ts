/**
 * Every error a client of `/v1` can get: one code, one status, one OpenAI `type`, one public text.
 *
 * Public texts never hold upstream text, keys or ids of other tenants; what happened exactly is in the log under the
 * request id. `docs/reference/errors.md` is generated from here.
 */
export interface ErrorEntry {
  status: number;
  /** OpenAI's `error.type`. */
  type: string;
  message: string;
  /** Sent as `x-should-retry` where set; otherwise the SDKs decide by the status. */
  shouldRetry?: boolean;
}

const INVALID = 'invalid_request_error';

export const ERROR_CATALOG = {
  invalid_json: { status: 400, type: INVALID, message: 'The request body is not valid JSON.' },
  missing_required_parameter: { status: 400, type: INVALID, message: 'A required parameter is missing.' },
  invalid_value: { status: 400, type: INVALID, message: 'A parameter has an invalid value.' },
  unsupported_parameter: { status: 400, type: INVALID, message: 'This model does not support a parameter of the request.' },
  unsupported_operation: { status: 400, type: INVALID, message: 'This model does not support the requested operation.' },
  context_length_exceeded: { status: 400, type: INVALID, message: "The request exceeds the model's context window." },
  content_filter: { status: 400, type: INVALID, message: 'The provider refused the content of the request.' },
  malformed_request: { status: 400, type: INVALID, message: 'The request is not valid HTTP.' },
  invalid_api_key: { status: 401, type: INVALID, message: 'Incorrect API key provided.' },
  tenant_inactive: { status: 403, type: 'permission_error', message: 'This tenant is not active.' },
  model_not_allowed: { status: 403, type: 'permission_error', message: 'This model is not available to your tenant.' },
  insufficient_scope: { status: 403, type: 'permission_error', message: 'This API key may not use this endpoint.' },
  budget_exceeded: { status: 403, type: 'insufficient_quota', message: 'The budget for this period is used up.', shouldRetry: false },
  model_not_found: { status: 404, type: INVALID, message: 'The model does not exist or is not enabled.' },
  not_found: { status: 404, type: INVALID, message: 'Unknown request URL.' },
  method_not_allowed: { status: 405, type: INVALID, message: 'This method is not allowed for this URL.' },
  request_timeout: { status: 408, type: INVALID, message: 'The request did not arrive in time.' },
  idempotency_key_in_use: { status: 409, type: 'idempotency_error', message: 'A request with this idempotency key is still running.' },
  request_too_large: { status: 413, type: INVALID, message: 'The request body is too large.' },
  unsupported_media_type: { status: 415, type: INVALID, message: 'The content type must be application/json.' },
  idempotency_key_reused: { status: 422, type: 'idempotency_error', message: 'This idempotency key was used with a different request.' },
  headers_too_large: { status: 431, type: INVALID, message: 'The request headers are too large.' },
  rate_limit_exceeded: { status: 429, type: 'requests', message: 'Rate limit reached.' },
  upstream_rate_limited: { status: 429, type: 'requests', message: 'The provider is rate limited.', shouldRetry: true },
  client_closed_request: { status: 499, type: INVALID, message: 'The client closed the request.' },
  internal_error: { status: 500, type: 'server_error', message: 'The gateway had an internal error.' },
  upstream_error: { status: 502, type: 'server_error', message: 'The provider failed to answer the request.', shouldRetry: false },
  no_backend_available: { status: 503, type: 'server_error', message: 'No healthy provider route is available for this model.' },
  limiter_unavailable: { status: 503, type: 'server_error', message: 'The rate limiter is not available.' },
  budget_store_unavailable: { status: 503, type: 'server_error', message: 'Budgets cannot be checked right now.' },
  metering_unavailable: { status: 503, type: 'server_error', message: 'Usage cannot be recorded right now.' },
  configuration_unavailable: { status: 503, type: 'server_error', message: 'The gateway has not loaded its configuration yet.' },
  shutting_down: { status: 503, type: 'server_error', message: 'This gateway instance is shutting down.' },
  overloaded: { status: 503, type: 'server_error', message: 'The gateway is overloaded.' },
  upstream_timeout: { status: 504, type: 'server_error', message: 'The provider did not answer in time.', shouldRetry: false },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOG;
