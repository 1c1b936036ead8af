/**
 * What a log line must never show, whatever an object it logs happens to hold. Code does not log prompts, keys or tokens in
 * the first place; this list is the net under it.
 */
const NAMES = [
  'authorization',
  'Authorization',
  'cookie',
  'Cookie',
  '["set-cookie"]',
  '["x-api-key"]',
  '["api-key"]',
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

const DEPTHS = ['', '*', '*.*', '*.*.*'];

/** Paths for pino, four levels deep. */
export const REDACT_PATHS: readonly string[] = DEPTHS.flatMap((depth) =>
  NAMES.map((name) => (name.startsWith('[') ? `${depth}${name}` : depth === '' ? name : `${depth}.${name}`)),
);

/** `user:password@` in URLs, `sk-...` and `oat_...` tokens, and signed ones (of sessions and download links), wherever a text carries them. */
const CREDENTIALS_IN_URL = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;
const TOKENS =
  /\b(sk-[A-Za-z0-9_-]{1,64}\.)[^\s"',}]+|\b(sk|hf|gsk)[-_][A-Za-z0-9_-]{16,}|\boat_[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+){1,4}|\bBearer\s+[^\s"',}]+/g;

/** Cuts a text and takes the credentials out of it. For error messages, which libraries write. */
export function scrub(text: string, charsMax = 2000): string {
  return text.slice(0, charsMax).replace(CREDENTIALS_IN_URL, '$1[redacted]@').replace(TOKENS, '[redacted]');
}
