import { createHmac } from 'node:crypto';

/**
 * Virtual keys: `sk-<prefix>.<secret>`. The prefix finds the key, the secret proves it.
 *
 * Only HMAC-SHA-256(pepper, secret) is stored. Issued secrets have 256 bits of entropy, so a slow password hash would
 * add nothing but a way to exhaust the gateway's CPU.
 */
export interface ApiKeyToken {
  prefix: string;
  secret: string;
}

const TOKEN_CHARS_MAX = 512;

/** Splits an `Authorization` header's value; undefined for anything that is not a bearer token of our form. */
export function parseBearerApiKey(header: string | undefined): ApiKeyToken | undefined {
  if (header === undefined || header.length > TOKEN_CHARS_MAX) return undefined;
  const match = /^bearer +sk-([^.\s]+)\.(\S+)$/i.exec(header.trim());
  return match ? { prefix: match[1]!, secret: match[2]! } : undefined;
}

export function hashApiKeySecret(pepper: string, secret: string): Buffer {
  return createHmac('sha256', pepper).update(secret).digest();
}
