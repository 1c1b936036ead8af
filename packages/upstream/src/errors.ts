import { ProviderError } from '@omg/providers/spec';
import { BlockedAddressError } from './address-guard.js';

const TIMEOUT_CODES: ReadonlySet<string> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);
/** The peer spoke something that is not HTTP. */
const PROTOCOL_CODES = /^(UND_ERR_RES_CONTENT_LENGTH_MISMATCH|UND_ERR_HEADERS_OVERFLOW)$/;
const INTERNAL_CHARS_MAX = 200;

/** Codes and class names only: the text of some errors holds addresses, which is fine for the log but not longer than needed. */
export function toProviderError(error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  if (error instanceof BlockedAddressError) return new ProviderError('network', { internal: error.message, cause: error });
  const { name = '', code = '', message = '', cause } = (error ?? {}) as { name?: string; code?: string; message?: string; cause?: unknown };
  if (cause instanceof BlockedAddressError) return toProviderError(cause);
  const internal = `${code} ${message}`.trim().slice(0, INTERNAL_CHARS_MAX);
  const kind = TIMEOUT_CODES.has(code) ? 'timeout' : name === 'HTTPParserError' || PROTOCOL_CODES.test(code) ? 'malformed' : 'network';
  return new ProviderError(kind, { internal, cause: error });
}

export function bodyTooLarge(bytesMax: number): ProviderError {
  return new ProviderError('malformed', { internal: `the body is larger than ${bytesMax} bytes` });
}
