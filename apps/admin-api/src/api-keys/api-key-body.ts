import { effectiveLimits, usdFromNanoUsd, type RateLimits } from '@omg/domain';
import type { Prisma } from '@omg/database';
import type { KeyFrame } from './api-key-terms.js';

export const WITH_TENANT = { tenant: { select: { name: true, kind: true } }, owner: { select: { email: true } } } satisfies Prisma.ApiKeyInclude;
export type ApiKeyRow = Prisma.ApiKeyGetPayload<{ include: typeof WITH_TENANT }>;

export function apiKeyBody(row: ApiKeyRow, frame: KeyFrame, nowMs: number) {
  const isPersonal = row.tenant.kind === 'personal';
  const tenantName = isPersonal ? 'Personal' : row.tenant.name;
  const threshold = row.quotaWarningThreshold?.toNumber();
  const graceEnd = row.previousValidUntil && row.previousValidUntil.getTime() > nowMs ? row.previousValidUntil : undefined;
  return {
    id: row.id,
    tenant_id: row.tenantId,
    tenant_name: tenantName,
    issuer: { type: isPersonal ? ('personal' as const) : ('tenant' as const), label: row.owner?.email ?? tenantName },
    prefix: row.prefix,
    last_four: row.lastFour,
    name: row.name,
    scopes: row.scopes,
    ...((row.quotaNano !== null || threshold !== undefined) && {
      quota: {
        ...(row.quotaNano !== null && { budget_usd: Number(usdFromNanoUsd(row.quotaNano)) }),
        ...(threshold !== undefined && { warning_threshold: threshold }),
      },
    }),
    budget_refresh_schedule: frame.budget.schedule,
    rate_limits: {
      key: limitsBody(
        effectiveLimits(frame.keyDefaults, {
          requestsPerMinute: row.requestsPerMinute ?? 0,
          tokensPerMinute: row.tokensPerMinute ?? 0,
          parallelRequests: row.parallelRequests ?? 0,
        }),
      ),
      tenant: limitsBody(frame.tenantLimits),
    },
    created_at: row.createdAt.toISOString(),
    expires_at: row.expiresAt?.toISOString() ?? null,
    ...(row.revokedAt && { revoked_at: row.revokedAt.toISOString() }),
    ...(row.lastUsedAt && { last_used_at: row.lastUsedAt.toISOString() }),
    ...(graceEnd && { previous_secret_valid_until: graceEnd.toISOString() }),
    revoked: row.revokedAt !== null,
    expired: row.expiresAt !== null && row.expiresAt.getTime() <= nowMs,
    version: row.version,
  };
}

function limitsBody(limits: RateLimits) {
  return { requests_per_minute: limits.requestsPerMinute, tokens_per_minute: limits.tokensPerMinute, parallel_requests: limits.parallelRequests };
}

/** What an audit row tells of a key: what was set on the key itself, never a digest. */
export function apiKeyAudit(row: ApiKeyRow) {
  return {
    name: row.name,
    scopes: row.scopes,
    budget_usd: row.quotaNano === null ? null : usdFromNanoUsd(row.quotaNano),
    warning_threshold: row.quotaWarningThreshold?.toNumber() ?? null,
    requests_per_minute: row.requestsPerMinute,
    tokens_per_minute: row.tokensPerMinute,
    parallel_requests: row.parallelRequests,
    expires_at: row.expiresAt?.toISOString() ?? null,
    revoked: row.revokedAt !== null,
  };
}
