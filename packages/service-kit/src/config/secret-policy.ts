/**
 * What counts as a secret that nobody chose. In production a service does not start with one of these; in the profiles
 * demo and development missing secrets take the well-known values below, which the same policy refuses in production.
 */
export const DEVELOPMENT_SECRETS: Readonly<Record<string, unknown>> = {
  'secrets.api_key_pepper': 'development-only-api-key-pepper-0123456789',
  'secrets.encryption_keys': [`development:${Buffer.from('development-only-encryption-key!').toString('base64')}`],
  'admin.session.jwt_secret': 'development-only-jwt-secret-0123456789abcdef',
};

const PLACEHOLDER =
  /change.?(me|this)|placeholder|replace.?(me|this)|development.?only|insecure|^your[-_ ]|example|^<.*>$|^(my|super|the)?[-_]?(secret|password|pass|token|key|admin|test|demo|default|none|null|todo)s?[-_]?\d*$/i;

/** Why a secret would not protect anything; undefined when it may. The text never holds the value. */
export function weakness(value: string, bytesMin: number): string | undefined {
  if (value === '') return 'is required';
  if (PLACEHOLDER.test(value)) return 'is a placeholder; set a secret of your own';
  if (Buffer.byteLength(value) < bytesMin) return `must have at least ${bytesMin} bytes`;
  if (bytesMin >= 32 && new Set(value).size < 8) return 'is too uniform to be a secret';
  return undefined;
}

/** Reads `kid:base64` entries; the problem never holds the key. */
export function encryptionKeyProblem(entry: string): string | undefined {
  const match = /^([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9+/_-]+={0,2})$/.exec(entry);
  if (!match) return 'must be kid:base64';
  return Buffer.from(match[2]!, 'base64').length === 32 ? undefined : 'must be 32 bytes in base64';
}

export function decodedKey(entry: string): string {
  return Buffer.from(entry.slice(entry.indexOf(':') + 1), 'base64').toString('latin1');
}
