import { Body, Controller, Get, Headers, Inject, Put } from '@nestjs/common';
import { rateLimitDefaultsInputSchema, rateLimitDefaultsSchema, SETTING_KEYS, type RateLimitsSetting } from '@omg/contracts';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { lockSetting, saveSetting } from '../settings/save-setting.js';
import { limitDefaults } from './limit-defaults.js';

/** What keys and tenants without limits of their own get. */
@Controller('admin/settings/rate-limits')
export class RateLimitsController {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'rate_limits'>,
  ) {}

  @Get()
  @Permission('any:viewer')
  @Returns(rateLimitDefaultsSchema, { summary: 'Show the default rate limits' })
  read() {
    return this.body(this.prisma);
  }

  @Put()
  @Permission('super_admin')
  @Returns(rateLimitDefaultsSchema, { summary: 'Change the default rate limits; they win over the configuration file' })
  put(
    @Caller() caller: Principal,
    @Body({ schema: rateLimitDefaultsInputSchema }) input: Parsed<typeof rateLimitDefaultsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.prisma.$transaction(async (tx) => {
      await lockSetting(tx, SETTING_KEYS.rateLimits);
      const { version: _version, ...before } = await this.body(tx);
      const value: RateLimitsSetting = {
        requestsPerMinute: input.requests_per_minute,
        tokensPerMinute: input.tokens_per_minute,
        parallelRequestsKey: input.parallel_requests_key,
        parallelRequestsTenant: input.parallel_requests_tenant,
      };
      await saveSetting(tx, caller, SETTING_KEYS.rateLimits, value, ifMatch);
      await audit(tx, {
        actor: actorOf(caller),
        action: 'rate_limits.default.update',
        resource: 'rate_limit_default',
        resourceId: 'global',
        metadata: input,
        before,
        after: input,
      });
      return this.body(tx);
    });
  }

  private async body(tx: PrismaTx) {
    const limits = await limitDefaults(tx, this.config);
    return {
      requests_per_minute: limits.requestsPerMinute,
      tokens_per_minute: limits.tokensPerMinute,
      parallel_requests_key: limits.parallelRequestsKey,
      parallel_requests_tenant: limits.parallelRequestsTenant,
      version: limits.version,
    };
  }
}
