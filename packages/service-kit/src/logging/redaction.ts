/**
 * What a log line must never show, whatever an object it logs happens to hold. Code does not log prompts, keys or tokens in
 * the first place; this list is the net under it.
 */
export const REDACTED_NAMES = [
  'authorization',
  'Authorization',
  'cookie',
  'Cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
  'apiKey',
  'api_key',
  'secret',
  'client_secret',
  'clientSecret',
  'password',
  'token',
  'accessToken',
  'access_token',
  'refreshToken',
  'refresh_token',
  'pepper',
  'jwt_secret',
  'jwtSecret',
  'privateKey',
  'private_key',
  'digest',
  'prompt',
  'messages',
  'content',
  'input',
  'body',
  'rawBody',
] as const;

const LEVELS = 4;

/**
 * Hides the values of these names in what is about to be logged, four levels deep. Written out, since every request logs a line:
 * a path per name and level, as pino looks for them, took a quarter of what a refused request costs.
 */
export function redactor(names: readonly string[]): (fields: Record<string, unknown>) => Record<string, unknown> {
  const hidden: ReadonlySet<string> = new Set(names);
  const redact = (fields: Record<string, unknown>, levels: number): Record<string, unknown> => {
    // Mostly nothing is hidden, and the object itself is logged.
    let copy: Record<string, unknown> | undefined;
    for (const name in fields) {
      const value = fields[name];
      let shown = value;
      if (hidden.has(name)) shown = value === undefined ? value : '[redacted]';
      else if (levels > 1 && isContainer(value)) shown = redact(value, levels - 1);
      if (shown !== value) (copy ??= Array.isArray(fields) ? ([...fields] as never) : { ...fields })[name] = shown;
    }
    return copy ?? fields;
  };
  return (fields) => redact(fields, LEVELS);
}

/** Errors are described by the logger's own serializer; what makes its own JSON, such as a date, is a value. */
function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !(value instanceof Error) && typeof (value as { toJSON?: unknown }).toJSON !== 'function';
}

/** `user:password@` in URLs, `sk-...` and `oat_...` tokens, and signed ones (of sessions and download links), wherever a text carries them. */
const CREDENTIALS_IN_URL = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;
const TOKENS =
  /\b(sk-[A-Za-z0-9_-]{1,64}\.)[^\s"',}]+|\b(sk|hf|gsk)[-_][A-Za-z0-9_-]{16,}|\boat_[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+){1,4}|\bBearer\s+[^\s"',}]+/g;

/** Cuts a text and takes the credentials out of it. For error messages, which libraries write. */
export function scrub(text: string, charsMax = 2000): string {
  return text.slice(0, charsMax).replace(CREDENTIALS_IN_URL, '$1[redacted]@').replace(TOKENS, '[redacted]');
}
