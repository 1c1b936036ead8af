import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type rateLimitsInputSchema } from '@omg/contracts';
import { effectiveLimits } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import { withVersion } from '../http/etag.js';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { limitDefaults } from '../rate-limits/limit-defaults.js';
import { requireLimitsAllowed, type LimitValues } from './owner-limits.js';
import { bumpTenant, lockTenant, requireGovernor } from './tenant-lock.js';

/** A tenant's own rate limits; 0 inherits the default. */
@Injectable()
export class TenantLimitsService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'rate_limits'>,
  ) {}

  async read(tenantId: string) {
    const row = await this.prisma.tenantRateLimit.findUnique({ where: { tenantId }, include: { tenant: { select: { version: true } } } });
    if (!row) throw new AdminError('not_found', { message: 'The tenant has no limits of its own.' });
    return withVersion(limitsBody(row), row.tenant.version);
  }

  async put(caller: Principal, tenantId: string, input: Parsed<typeof rateLimitsInputSchema>, ifMatch?: string) {
    const values: LimitValues = {
      requestsPerMinute: input.requests_per_minute,
      tokensPerMinute: input.tokens_per_minute,
      parallelRequests: input.parallel_requests,
    };
    return this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId, ifMatch);
      requireGovernor(caller, tenant);
      const before = await tx.tenantRateLimit.findUnique({ where: { tenantId } });
      const platform = await this.platform(tx);
      requireLimitsAllowed(caller, effectiveLimits(platform, values), effectiveLimits(platform, before ?? undefined), platform);
      const row = await tx.tenantRateLimit.upsert({ where: { tenantId }, create: { tenantId, ...values }, update: values });
      await bumpTenant(tx, tenantId);
      await audit(tx, {
        actor: actorOf(caller),
        action: 'tenant.rate_limit.upsert',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        metadata: limitsBody(row),
        before: before && limitsBody(before),
        after: limitsBody(row),
      });
      return withVersion(limitsBody(row), tenant.version + 1);
    });
  }

  async remove(caller: Principal, tenantId: string, ifMatch?: string): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId, ifMatch);
      requireGovernor(caller, tenant);
      const before = await tx.tenantRateLimit.findUnique({ where: { tenantId } });
      if (!before) throw new AdminError('not_found', { message: 'The tenant has no limits of its own.' });
      await tx.tenantRateLimit.delete({ where: { tenantId } });
      await bumpTenant(tx, tenantId);
      await audit(tx, {
        actor: actorOf(caller),
        action: 'tenant.rate_limit.delete',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        before: limitsBody(before),
      });
    });
  }

  private async platform(tx: Parameters<typeof limitDefaults>[0]): Promise<LimitValues> {
    const { requestsPerMinute, tokensPerMinute, parallelRequestsTenant } = await limitDefaults(tx, this.config);
    return { requestsPerMinute, tokensPerMinute, parallelRequests: parallelRequestsTenant };
  }
}

function limitsBody(row: LimitValues) {
  return { requests_per_minute: row.requestsPerMinute, tokens_per_minute: row.tokensPerMinute, parallel_requests: row.parallelRequests };
}
