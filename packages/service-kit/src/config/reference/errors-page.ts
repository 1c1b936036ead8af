import { ERROR_CATALOG, type ErrorCode, type ErrorEntry } from '@omg/contracts';

/** What to do about each code. Complete by its type: a new code does not compile without a word about it. */
const ADVICE: Readonly<Record<ErrorCode, string>> = {
  invalid_json: 'Send valid JSON; `param` is empty, since nothing could be read.',
  missing_required_parameter: 'Add the field that `param` names.',
  invalid_value: 'Correct the field that `param` names. Without one the provider refused the request; its own words are in the log under the request id.',
  malformed_request: 'Look at what is between the client and the gateway: the bytes are no request that HTTP knows.',
  unsupported_parameter: 'Leave out the field that `param` names, or choose a model that knows it.',
  unsupported_operation: 'Choose another model: none of its routes can do this. Operators: `modalities` and `supports_tools` of the catalog entry.',
  context_length_exceeded: 'Shorten the messages or `max_tokens`, or choose a model with a larger window.',
  content_filter: 'The provider refused the content; the same request is refused again.',
  invalid_api_key: 'Check the key: `Authorization: Bearer sk-<prefix>.<secret>`. Revoked and expired keys answer the same.',
  tenant_inactive: 'The tenant is suspended. Operators: `PUT /admin/tenants/{id}/status`.',
  model_not_allowed: "The tenant's model list lacks the alias. Operators: `PUT /admin/tenants/{id}/models`.",
  insufficient_scope: "The key's scopes do not hold this endpoint: use another key, or change its scopes.",
  budget_exceeded: 'Wait for the next period or have the budget raised; the `x-budget-*` headers tell how far it is.',
  model_not_found: '`GET /v1/models` lists what the key may use. Operators: is the entry enabled, and did it load (`/admin/model-catalog/status`)?',
  not_found: 'Check the URL: the base URL ends in `/v1`, without a second one.',
  method_not_allowed: 'Use the method of the API reference, mostly POST.',
  request_timeout: 'Send faster: `server.read_header_timeout` bounds the headers, `server.sync_timeout` the body.',
  idempotency_key_in_use: 'Wait for the first request to end, then repeat to get its answer.',
  request_too_large: 'Send less; `server.body_limit_mb` bounds a body.',
  unsupported_media_type: 'Send `Content-Type: application/json` (multipart only where the endpoint takes files).',
  idempotency_key_reused: 'Use a new `Idempotency-Key` for a new body.',
  headers_too_large: 'Send fewer or shorter headers; 16 KiB is the limit.',
  rate_limit_exceeded: 'Wait as long as `retry-after-ms` says. Operators: limits of the key and of the tenant.',
  upstream_rate_limited: "The provider's limit, on every route. Operators: another route, or a higher quota at the provider.",
  client_closed_request: 'Seen in usage and logs only: the client had left. What was produced is billed.',
  internal_error: 'A fault of the gateway; report it with the request id.',
  upstream_error: 'Every attempt failed. Operators: the log under the request id, and `/admin/routing/incidents`.',
  no_backend_available: 'All routes of the model are cut off; `retry-after` tells when the next one is tried. Operators: `/admin/routing/explain`.',
  limiter_unavailable: 'Redis is away and the fallback is used up. Repeat later. Operators: Redis.',
  budget_store_unavailable: 'Redis is away, or the budget is not known yet, and the allowance is used up. Operators: Redis and the usage recorder.',
  metering_unavailable: 'Usage could be kept nowhere: Redis, NATS and the spool all fail. Operators: all three, the disk first.',
  configuration_unavailable: 'The edge has just started or never saw the configuration. Operators: NATS and the admin API.',
  shutting_down: 'Repeat: another instance answers.',
  overloaded:
    'More than `edge.max_in_flight` requests run in this process, or their bodies have taken `edge.body_memory_mb`. Repeat; operators: more edges, or more memory for them.',
  upstream_timeout: 'The provider took longer than `server.provider_timeout` or `server.sync_timeout`. It may still have charged.',
};

function retries(entry: ErrorEntry): string {
  if (entry.shouldRetry !== undefined) return entry.shouldRetry ? 'yes' : 'no';
  return entry.status === 409 || entry.status === 429 || entry.status >= 500 ? 'yes' : 'no';
}

/** `docs/reference/errors.md`. */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CATALOG).map(
    ([code, entry]) => `| ${entry.status} | \`${code}\` | \`${entry.type}\` | ${entry.message} | ${retries(entry)} | ${ADVICE[code as ErrorCode]} |`,
  );
  return `# Errors of \`/v1\`

<!-- Generated from packages/contracts/src/errors/catalog.ts: pnpm generate -->

Every error has OpenAI's form, so that its SDKs raise their own exceptions:

\`\`\`json
{ "error": { "message": "...", "type": "...", "param": null, "code": "..." } }
\`\`\`

\`x-request-id\` is in every answer and in the log. Texts never hold a provider's own words, keys, or ids of other tenants. A fault in the
middle of a stream is one \`data: {"error": ...}\` frame after which no \`[DONE]\` comes. "Retry" is what OpenAI's SDKs do by
themselves (the gateway sends \`x-should-retry\` where the status alone would mislead them).

| Status | Code | Type | Text | Retry | What to do |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
}
