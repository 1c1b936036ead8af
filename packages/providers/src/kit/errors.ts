import { ProviderError, type ProviderErrorKind } from '../spec/provider-error.js';
import { isRecord, textOf, tryParseJson } from './safe-json.js';

/** What a provider said about a failure, whatever shape it chose. */
export interface UpstreamFault {
  code?: string;
  type?: string;
  message?: string;
  param?: string;
}

const RETRY_AFTER_MAX_MS = 3_600_000;
const INTERNAL_CHARS_MAX = 500;
/** Error texts quote credentials ("Incorrect API key provided: ..."): what looks like one never reaches the log. */
const SECRETS = /\b(?:sk|pk|hf|gsk|key|bearer|token)[-_ :]+\S{6,}|[A-Za-z0-9_+/=-]{32,}/gi;
/** Validators in Python quote what they refused, which is the prompt as often as not. */
const QUOTED_INPUT = /(["'](?:input|ctx)["']\s*:|\binput_value\s*=).*$/s;
const CONTEXT_TEXT =
  /maximum context length|context[ _-]?(?:length|window|size)|prompt is too long|input is too long|too many (?:input )?tokens|must have less than \d+ tokens|exceed_context_size/i;

/** Reads `{error:{...}}`, `{error:"text"}`, `{message,code,type}`, `{detail}`: the shapes that servers are known to send. */
export function readFault(body: Buffer | string): UpstreamFault {
  const parsed = tryParseJson(body);
  if (isRecord(parsed)) return faultOf(parsed);
  return { message: typeof body === 'string' ? body : body.toString('utf8', 0, INTERNAL_CHARS_MAX) };
}

/** The same from a parsed value, such as the object inside a stream. */
export function faultOf(parsed: Record<string, unknown>): UpstreamFault {
  const inner = isRecord(parsed['error']) ? parsed['error'] : parsed;
  const fault: UpstreamFault = {};
  const code = inner['code'];
  if (typeof code === 'string' || typeof code === 'number') fault.code = String(code);
  const type = textOf(inner['type']) ?? textOf(inner['error_type']) ?? textOf(parsed['error_type']) ?? textOf(inner['status']);
  if (type !== undefined) fault.type = type;
  const message = textOf(inner['message']) ?? textOf(parsed['error']) ?? textOf(parsed['detail']) ?? textOf(parsed['message']);
  const detail = Array.isArray(parsed['detail']) ? JSON.stringify(parsed['detail']) : undefined;
  if (message !== undefined || detail !== undefined) fault.message = (message ?? detail)!;
  const param = textOf(inner['param']);
  if (param !== undefined) fault.param = param;
  const innerCode = isRecord(inner['innererror']) ? textOf(inner['innererror']['code']) : undefined;
  if (innerCode === 'ResponsibleAIPolicyViolation') fault.code = 'content_filter';
  return fault;
}

const BY_CODE: Readonly<Record<string, ProviderErrorKind>> = {
  context_length_exceeded: 'context_length',
  exceed_context_size_error: 'context_length',
  string_above_max_length: 'invalid_request',
  content_filter: 'content_filter',
  content_policy_violation: 'content_filter',
  moderation_blocked: 'content_filter',
  unsupported_parameter: 'unsupported_parameter',
  unsupported_value: 'unsupported_parameter',
  unknown_parameter: 'unsupported_parameter',
  model_not_found: 'not_found',
  DeploymentNotFound: 'not_found',
  invalid_api_key: 'auth',
  insufficient_quota: 'rate_limited',
  rate_limit_exceeded: 'rate_limited',
  server_is_overloaded: 'overloaded',
  overloaded_error: 'overloaded',
};

export function kindOfStatus(status: number): ProviderErrorKind {
  if (status === 429) return 'rate_limited';
  if (status === 401 || status === 402 || status === 403 || status === 407) return 'auth';
  if (status === 404 || status === 405 || status === 410 || (status >= 300 && status < 400)) return 'not_found';
  if (status === 408 || status === 504) return 'timeout';
  if (status === 503 || status === 529) return 'overloaded';
  // Conflicts and failed dependencies are states of the provider, not faults of the request.
  if (status === 409 || status === 423 || status === 424 || status === 425) return 'server_error';
  if (status >= 400 && status < 500) return 'invalid_request';
  return status >= 500 ? 'server_error' : 'malformed';
}

/** The kind of a failure from its status (undefined inside a stream) and from what the provider said. */
export function kindOfFault(status: number | undefined, fault: UpstreamFault): ProviderErrorKind {
  const told = (fault.code !== undefined && BY_CODE[fault.code]) || (fault.type !== undefined && BY_CODE[fault.type]) || undefined;
  if (told === 'unsupported_parameter' && fault.param === undefined) return 'invalid_request';
  if (told !== undefined && (status === undefined || status < 500 || told === 'overloaded')) return told;
  const base = status === undefined ? kindInStream(fault) : kindOfStatus(status);
  if (base === 'invalid_request' && fault.message !== undefined && CONTEXT_TEXT.test(fault.message)) return 'context_length';
  return base;
}

function kindInStream(fault: UpstreamFault): ProviderErrorKind {
  const status = Number(fault.code);
  if (Number.isInteger(status) && status >= 400 && status < 600) return kindOfStatus(status);
  if (fault.type === 'invalid_request_error' || fault.type === 'BadRequestError') return 'invalid_request';
  if (fault.type === 'rate_limit_error') return 'rate_limited';
  return 'server_error';
}

/** Text for the log: bounded, without what it quotes of the request and anything that looks like a credential. */
export function internalText(fault: UpstreamFault): string {
  const text = [fault.type, fault.code, fault.message].filter((part) => part !== undefined).join(': ');
  return text
    .slice(0, 2 * INTERNAL_CHARS_MAX)
    .replace(QUOTED_INPUT, '$1 [redacted]')
    .replace(SECRETS, '[redacted]')
    .slice(0, INTERNAL_CHARS_MAX);
}

export function providerError(
  status: number | undefined,
  fault: UpstreamFault,
  headers: Readonly<Record<string, string>> = {},
  nowMs = Date.now(),
): ProviderError {
  const retryAfterMs = parseRetryAfterMs(headers, nowMs);
  return new ProviderError(kindOfFault(status, fault), {
    status,
    internal: internalText(fault),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(fault.param === undefined ? {} : { param: fault.param }),
  });
}

/** `retry-after-ms`, then `retry-after` in seconds or as an HTTP date; at most one hour, undefined when absent or unreadable. */
export function parseRetryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const milliseconds = headers['retry-after-ms'];
  if (milliseconds !== undefined) {
    const value = Number.parseFloat(milliseconds);
    if (Number.isFinite(value) && value >= 0) return Math.min(Math.ceil(value), RETRY_AFTER_MAX_MS);
  }
  const text = headers['retry-after']?.trim();
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  const value = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(value) ? Math.min(Math.max(0, Math.ceil(value)), RETRY_AFTER_MAX_MS) : undefined;
}

/** The field is one that this provider cannot serve: refused before any call. */
export function unsupportedParameter(param: string): ProviderError {
  return new ProviderError('unsupported_parameter', { param });
}
