import { Body, Controller, Delete, Get, Headers, Param, Post } from '@nestjs/common';
import { membershipListSchema, membershipSchema, upsertMembershipSchema, uuidSchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { MembershipsService } from './memberships.service.js';

@Controller('admin/tenants/:tenantId/memberships')
export class MembershipsController {
  constructor(private readonly memberships: MembershipsService) {}

  @Get()
  @Permission('tenant:admin')
  @Returns(membershipListSchema, { summary: 'List the members of a tenant, by mail' })
  list(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.memberships.list(tenantId);
  }

  @Post()
  @Permission('tenant:owner')
  @Returns(membershipSchema, { status: 201, summary: 'Add a member or change his role' })
  upsert(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: upsertMembershipSchema }) body: Parsed<typeof upsertMembershipSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.memberships.upsert(caller, tenantId, body, ifMatch);
  }

  @Delete(':userId')
  @Permission('tenant:owner')
  @Returns(undefined, { summary: 'Remove a member' })
  async remove(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Param('userId', { schema: uuidSchema }) userId: string,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    await this.memberships.remove(caller, tenantId, userId, ifMatch);
  }
}
