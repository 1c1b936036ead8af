import { internalText, kindOfStatus, parseRetryAfterMs } from '../kit/errors.js';
import { isRecord, textOf } from '../kit/safe-json.js';
import { fieldIn } from '../anthropic/errors.js';
import type { CancelSignal } from '../spec/cancellation.js';
import { ProviderError, type ProviderErrorKind } from '../spec/provider-error.js';

const BY_NAME: Readonly<Record<string, ProviderErrorKind>> = {
  ValidationException: 'invalid_request',
  AccessDeniedException: 'auth',
  UnrecognizedClientException: 'auth',
  InvalidSignatureException: 'auth',
  IncompleteSignatureException: 'auth',
  MissingAuthenticationTokenException: 'auth',
  ExpiredTokenException: 'auth',
  ExpiredToken: 'auth',
  InvalidClientTokenId: 'auth',
  CredentialsProviderError: 'auth',
  TokenProviderError: 'auth',
  ResourceNotFoundException: 'not_found',
  ModelTimeoutException: 'timeout',
  ModelErrorException: 'server_error',
  ModelStreamErrorException: 'server_error',
  ThrottlingException: 'rate_limited',
  TooManyRequestsException: 'rate_limited',
  ServiceQuotaExceededException: 'rate_limited',
  ModelNotReadyException: 'overloaded',
  ServiceUnavailableException: 'overloaded',
  InternalServerException: 'server_error',
  ConflictException: 'server_error',
};

const CONTEXT = /input is too long|prompt is too long|too many (?:input )?tokens|context (?:length|window)|exceeds? the maximum (?:number of )?tokens/i;
/** Validation errors that no change of the request could mend: the catalog names a model that is not there for this account. */
const ROUTE = /model identifier is invalid|on-demand throughput isn.t supported|isn.t supported on.demand|end of its life|inference profile/i;

/** Any failure of an SDK call or of the stream behind it, in the gateway's words. */
export function toProviderError(error: unknown, signal?: CancelSignal): unknown {
  if (error instanceof ProviderError) return error;
  if (signal?.aborted) return signal.reason ?? error;
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : undefined;
  const status = statusOf(error);
  const kind = kindOf(name, message, status);
  return new ProviderError(kind, {
    status,
    retryAfterMs: parseRetryAfterMs(headersOf(error), Date.now()),
    param: kind === 'invalid_request' ? fieldIn(message) : undefined,
    internal: internalText({ type: name, message }),
    cause: status === undefined ? error : undefined,
  });
}

function kindOf(name: string, message: string | undefined, status: number | undefined): ProviderErrorKind {
  // Some refusals come without their exception's name; the status speaks then.
  const kind = BY_NAME[pascal(name)] ?? (status === undefined ? undefined : kindOfStatus(status));
  if (kind === 'invalid_request' && message !== undefined) {
    if (CONTEXT.test(message)) return 'context_length';
    if (ROUTE.test(message)) return 'not_found';
  }
  if (kind !== undefined) return kind;
  if (/region is missing/i.test(message ?? '')) return 'not_found';
  // Bytes that the SDK could not read come as its own parser's errors, without a failed status.
  return 'malformed';
}

/** Exceptions inside a stream are named in lower camel case: `throttlingException`. */
function pascal(name: string): string {
  return name === '' ? name : name[0]!.toUpperCase() + name.slice(1);
}

function statusOf(error: unknown): number | undefined {
  if (!isRecord(error)) return undefined;
  const metadata = error.$metadata;
  const status = isRecord(metadata) ? metadata.httpStatusCode : undefined;
  return typeof status === 'number' && status >= 300 ? status : undefined;
}

function headersOf(error: unknown): Record<string, string> {
  const response = isRecord(error) ? error.$response : undefined;
  const headers = isRecord(response) && isRecord(response.headers) ? response.headers : {};
  const retryAfter = textOf(headers['retry-after']);
  return retryAfter === undefined ? {} : { 'retry-after': retryAfter };
}
