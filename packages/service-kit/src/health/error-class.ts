/**
 * The class of a failure, for answers that anybody may read: never a host, a user or a driver's text.
 */
export type ErrorClass = 'timeout' | 'refused' | 'unreachable' | 'dns' | 'tls' | 'auth' | 'closed' | 'error';

const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  DEADLINE: 'timeout',
  ETIMEDOUT: 'timeout',
  TIMEOUT: 'timeout',
  ABORT_ERR: 'timeout',
  ECONNREFUSED: 'refused',
  CONNECTION_REFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  CONNECTION_CLOSED: 'closed',
  CERT_HAS_EXPIRED: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls',
  '28000': 'auth',
  '28P01': 'auth',
  '57P03': 'refused',
  AUTHORIZATION_VIOLATION: 'auth',
};

const BY_TEXT: readonly (readonly [RegExp, ErrorClass])[] = [
  [/timed? ?out|timeout/i, 'timeout'],
  [/ECONNREFUSED|refused/i, 'refused'],
  [/NOAUTH|WRONGPASS|auth/i, 'auth'],
  [/closed|isn't writeable|disconnected|reset/i, 'closed'],
  [/certificate|TLS|SSL/i, 'tls'],
];

export function errorClass(error: unknown): ErrorClass {
  for (let current: unknown = error, depth = 0; current instanceof Error && depth < 4; depth++) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === 'string' && BY_CODE[code]) return BY_CODE[code];
    const inner = current instanceof AggregateError ? current.errors[0] : undefined;
    current = current.cause ?? inner;
  }
  const text = error instanceof Error ? `${error.name} ${error.message}` : '';
  return BY_TEXT.find(([pattern]) => pattern.test(text))?.[1] ?? 'error';
}
