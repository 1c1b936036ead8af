import type { ProviderErrorKind } from '../spec/provider-error.js';
import { ProviderError } from '../spec/provider-error.js';
import { internalText, kindOfStatus, parseRetryAfterMs, readFault, type UpstreamFault } from '../kit/errors.js';
import type { TransportResponse } from '../spec/transport.js';
import { ERROR_BODY_BYTES_MAX } from '../kit/http.js';

const BY_TYPE: Readonly<Record<string, ProviderErrorKind>> = {
  invalid_request_error: 'invalid_request',
  request_too_large: 'invalid_request',
  authentication_error: 'auth',
  permission_error: 'auth',
  // The account behind the gateway's key has no credit: nothing that the client could mend.
  billing_error: 'auth',
  not_found_error: 'not_found',
  rate_limit_error: 'rate_limited',
  overloaded_error: 'overloaded',
  timeout_error: 'timeout',
  api_error: 'server_error',
};

const CONTEXT = /prompt is too long|context (?:window|limit)|exceed(?:s|ed)? .*context/i;
/** Spend limits come as 400 although no request could mend them. */
const BILLING = /credit balance|spend(?:ing)? limit|usage limits?/i;

/** Fields of an OpenAI request under the names by which Anthropic's texts call them. */
const FIELDS: readonly [RegExp, string][] = [
  [/\btemperature\b/, 'temperature'],
  [/\btop_p\b/, 'top_p'],
  [/\btop_k\b/, 'top_k'],
  [/\bmax_tokens\b/, 'max_tokens'],
  [/\bstop_sequences\b/, 'stop'],
  [/\btool_choice\b/, 'tool_choice'],
  [/\boutput_config\.format\b|\boutput_format\b/, 'response_format'],
  [/\beffort\b|\bthinking\b/i, 'reasoning_effort'],
  [/^tools\.(\d+)/, 'tools'],
  [/^messages\b/, 'messages'],
];

/** The error that an Anthropic failure means; `status` is undefined for an error event inside a stream. */
export function anthropicError(status: number | undefined, fault: UpstreamFault, headers: Readonly<Record<string, string>> = {}): ProviderError {
  const kind = kindOf(status, fault);
  return new ProviderError(kind, {
    status,
    retryAfterMs: parseRetryAfterMs(headers, Date.now()),
    param: kind === 'invalid_request' ? fieldIn(fault.message) : undefined,
    internal: internalText(fault),
  });
}

function kindOf(status: number | undefined, fault: UpstreamFault): ProviderErrorKind {
  const kind = (fault.type === undefined ? undefined : BY_TYPE[fault.type]) ?? (status === undefined ? 'server_error' : kindOfStatus(status));
  if (kind !== 'invalid_request' || fault.message === undefined) return kind;
  if (CONTEXT.test(fault.message)) return 'context_length';
  return BILLING.test(fault.message) ? 'auth' : kind;
}

/** The request's field that an upstream text is about, so that the client learns the name and nothing else of the text. */
export function fieldIn(message: string | undefined): string | undefined {
  return message === undefined ? undefined : FIELDS.find(([pattern]) => pattern.test(message))?.[1];
}

export async function responseFailure(response: TransportResponse): Promise<ProviderError> {
  let fault: UpstreamFault = {};
  try {
    fault = readFault(await response.bytes(ERROR_BODY_BYTES_MAX));
  } catch (error) {
    // A body that cannot be read does not hide the status.
    if (!(error instanceof ProviderError)) throw error;
  }
  return anthropicError(response.status, fault, response.headers);
}
