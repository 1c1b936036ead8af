import { GatewayError } from '@omg/contracts';
import { hashApiKeySecret, parseBearerApiKey } from '@omg/domain';
import { timingSafeEqual } from 'node:crypto';
import type { KeyEntry } from '../../snapshot/key-cache.js';
import type { RequestContext } from '../context.js';

/**
 * Finds the virtual key by its prefix and proves the secret in constant time. Every way to fail gives the same 401: a
 * client cannot tell an unknown key from a revoked one. 503 when the key is not cached and the bus cannot be asked, 429 when it is
 * not cached and the client's address has asked for too many keys that do not exist.
 */
export async function authenticate(ctx: RequestContext): Promise<void> {
  const { services } = ctx;
  // Without its tenants an edge that has just started would call every key unknown, and clients do not try again on 401.
  if (!services.snapshot.isComplete) throw new GatewayError('configuration_unavailable', { retryAfterMs: 1000 });
  const token = parseBearerApiKey(ctx.request.headers.authorization);
  if (!token) throw new GatewayError('invalid_api_key');
  let key = services.keys.peek(token.prefix);
  if (key === undefined) key = (await loadKey(ctx, token.prefix)) ?? null;
  // Hashed for unknown keys too, so that the time does not tell whether the prefix exists.
  const digest = hashApiKeySecret(services.config.apiKeyPepper, token.secret);
  const nowMs = services.clock.nowMs();
  if (!key || !proves(key, digest, nowMs) || key.doc.revoked || (key.doc.expiresAtMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
    throw new GatewayError('invalid_api_key');
  }
  const tenant = services.snapshot.tenant(key.doc.tenantId);
  if (!tenant) throw new GatewayError('invalid_api_key', { internal: 'the key belongs to a tenant that is gone' });
  ctx.caller = { key, tenant };
  if (tenant.doc.status !== 'active') throw new GatewayError('tenant_inactive');
}

async function loadKey(ctx: RequestContext, prefix: string): Promise<KeyEntry | undefined> {
  const { keys, unknownKeys } = ctx.services;
  const { ip } = ctx.request;
  const waitMs = unknownKeys.waitMs(ip);
  if (waitMs > 0) throw new GatewayError('rate_limit_exceeded', { retryAfterMs: waitMs, message: 'Too many requests with unknown API keys.' });
  try {
    const key = await keys.load(prefix);
    if (key === undefined) unknownKeys.onUnknown(ip);
    return key;
  } catch (cause) {
    throw new GatewayError('configuration_unavailable', { retryAfterMs: 1000, internal: 'key lookup failed', cause });
  }
}

function proves(key: KeyEntry, digest: Buffer, nowMs: number): boolean {
  let matches = false;
  for (const stored of key.digests) {
    const same = stored.digest.length === digest.length && timingSafeEqual(stored.digest, digest);
    matches = matches || (same && nowMs < stored.validUntilMs);
  }
  return matches;
}
