import { internalText, kindOfStatus, parseRetryAfterMs, type UpstreamFault } from '../kit/errors.js';
import { ERROR_BODY_BYTES_MAX } from '../kit/http.js';
import { isRecord, textOf, tryParseJson } from '../kit/safe-json.js';
import { ProviderError, type ProviderErrorKind } from '../spec/provider-error.js';
import type { TransportResponse } from '../spec/transport.js';

const BY_STATUS: Readonly<Record<string, ProviderErrorKind>> = {
  INVALID_ARGUMENT: 'invalid_request',
  OUT_OF_RANGE: 'invalid_request',
  // The project or its region lacks something; no request could mend that.
  FAILED_PRECONDITION: 'not_found',
  UNAUTHENTICATED: 'auth',
  PERMISSION_DENIED: 'auth',
  NOT_FOUND: 'not_found',
  RESOURCE_EXHAUSTED: 'rate_limited',
  UNAVAILABLE: 'overloaded',
  DEADLINE_EXCEEDED: 'timeout',
  CANCELLED: 'server_error',
  ABORTED: 'server_error',
  INTERNAL: 'server_error',
  UNKNOWN: 'server_error',
};

const CONTEXT = /input token count .*exceeds|exceeds the maximum number of tokens|context (?:length|window)/i;
const KEY = /api key (?:not valid|expired)|api_key_invalid/i;

const FIELDS: readonly [RegExp, string][] = [
  [/\btemperature\b/i, 'temperature'],
  [/\btop_?p\b/i, 'top_p'],
  [/\btop_?k\b/i, 'top_k'],
  [/max_?output_?tokens/i, 'max_tokens'],
  [/thinking/i, 'reasoning_effort'],
  [/response[_ ]?(?:json[_ ]?)?schema|response[_ ]?mime[_ ]?type/i, 'response_format'],
  [/function_?call(?:ing)?_?config|allowed_?function_?names/i, 'tool_choice'],
  [/function_?declarations|\btools\b/i, 'tools'],
  [/candidate_?count/i, 'n'],
  [/logprobs/i, 'logprobs'],
  [/(?:frequency)_?penalty/i, 'frequency_penalty'],
  [/(?:presence)_?penalty/i, 'presence_penalty'],
  [/\bcontents\b/i, 'messages'],
  [/output_?dimensionality/i, 'dimensions'],
  [/aspect_?ratio/i, 'size'],
];

/** `error` is Google's error object; `status` is undefined inside a stream. */
export function googleError(status: number | undefined, error: unknown, headers: Readonly<Record<string, string>> = {}): ProviderError {
  const fault: UpstreamFault = isRecord(error) ? { type: textOf(error.status), message: textOf(error.message) } : {};
  const code = isRecord(error) && typeof error.code === 'number' ? error.code : undefined;
  const kind = kindOf(status ?? code, fault);
  return new ProviderError(kind, {
    status: status ?? code,
    retryAfterMs: parseRetryAfterMs(headers, Date.now()) ?? retryDelayMs(error),
    param: kind === 'invalid_request' ? FIELDS.find(([pattern]) => pattern.test(fault.message ?? ''))?.[1] : undefined,
    internal: internalText(fault),
  });
}

function kindOf(status: number | undefined, fault: UpstreamFault): ProviderErrorKind {
  const kind = (fault.type === undefined ? undefined : BY_STATUS[fault.type]) ?? (status === undefined ? 'server_error' : kindOfStatus(status));
  if (kind !== 'invalid_request' || fault.message === undefined) return kind;
  if (KEY.test(fault.message)) return 'auth';
  return CONTEXT.test(fault.message) ? 'context_length' : kind;
}

/** `RetryInfo.retryDelay`, such as "34.4s". */
function retryDelayMs(error: unknown): number | undefined {
  const details = isRecord(error) && Array.isArray(error.details) ? error.details : [];
  for (const detail of details) {
    const delay = isRecord(detail) && typeof detail.retryDelay === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(detail.retryDelay) : null;
    if (delay !== null) return Math.ceil(Number(delay[1]) * 1000);
  }
  return undefined;
}

/** The error object of an answer: bare, or in a list as streams without SSE send it. */
export function errorOf(parsed: unknown): unknown {
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return isRecord(first) ? first.error : undefined;
}

export async function responseFailure(response: TransportResponse): Promise<ProviderError> {
  let error: unknown;
  try {
    error = errorOf(tryParseJson(await response.bytes(ERROR_BODY_BYTES_MAX)));
  } catch (failure) {
    // A body that cannot be read does not hide the status.
    if (!(failure instanceof ProviderError)) throw failure;
  }
  return googleError(response.status, error, response.headers);
}
