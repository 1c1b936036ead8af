import { Body, Controller, Get, Headers, Param, Patch, Post, Query } from '@nestjs/common';
import {
  createTenantSchema,
  pagingSchema,
  personalTenantListSchema,
  renameTenantSchema,
  tenantListQuerySchema,
  tenantListSchema,
  tenantSchema,
  tenantStatusSchema,
  uuidSchema,
} from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { TenantsService } from './tenants.service.js';

@Controller('admin/tenants')
export class TenantsController {
  constructor(private readonly tenants: TenantsService) {}

  @Get()
  @Permission('any:viewer')
  @Returns(tenantListSchema, { summary: 'List organizations with their budgets' })
  list(@Caller() caller: Principal, @Query({ schema: tenantListQuerySchema }) query: Parsed<typeof tenantListQuerySchema>) {
    return this.tenants.list(caller, query);
  }

  @Post()
  @Permission('super_admin')
  @Returns(tenantSchema, { status: 201, summary: 'Create an organization' })
  create(@Caller() caller: Principal, @Body({ schema: createTenantSchema }) body: Parsed<typeof createTenantSchema>) {
    return this.tenants.create(caller, body);
  }

  @Get('personal')
  @Permission('super_admin')
  @Returns(personalTenantListSchema, { summary: 'List personal tenants' })
  personal(@Query({ schema: pagingSchema }) query: Parsed<typeof pagingSchema>) {
    return this.tenants.personal(query);
  }

  @Get(':tenantId')
  @Permission('tenant:viewer')
  @Returns(tenantSchema, { summary: 'Show a tenant' })
  read(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.tenants.read(tenantId);
  }

  @Patch(':tenantId')
  @Permission('tenant:owner')
  @Returns(tenantSchema, { summary: 'Rename an organization' })
  rename(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: renameTenantSchema }) body: Parsed<typeof renameTenantSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.tenants.rename(caller, tenantId, body.name, ifMatch);
  }

  @Patch(':tenantId/status')
  @Permission('tenant:owner')
  @Returns(tenantSchema, { summary: 'Suspend or activate an organization' })
  setStatus(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: tenantStatusSchema }) body: Parsed<typeof tenantStatusSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.tenants.setStatus(caller, tenantId, body.status, ifMatch);
  }
}
