import { Body, Controller, Delete, Get, Headers, Param, Put } from '@nestjs/common';
import {
  budgetOverrideInputSchema,
  budgetOverrideSchema,
  modelListSchema,
  rateLimitsInputSchema,
  rateLimitsSchema,
  tenantModelsInputSchema,
  uuidSchema,
} from '@omg/contracts';
import { OverridesService, type OverrideNames } from '../budgets/overrides.service.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { TenantLimitsService } from './tenant-limits.service.js';
import { TenantModelsService } from './tenant-models.service.js';

const NAMES: OverrideNames = { action: 'tenant.budget', resource: 'tenant' };

/** What a tenant may spend and use. Every change takes `If-Match` with the version that it is based on. */
@Controller('admin/tenants/:tenantId')
export class TenantGovernanceController {
  constructor(
    private readonly budgets: OverridesService,
    private readonly limits: TenantLimitsService,
    private readonly models: TenantModelsService,
  ) {}

  @Get('budget')
  @Permission('tenant:viewer')
  @Returns(budgetOverrideSchema, { summary: 'Show the own budget of a tenant; 404 when it follows the default' })
  readBudget(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.budgets.read(tenantId);
  }

  @Put('budget')
  @Permission('tenant:owner')
  @Returns(budgetOverrideSchema, { summary: 'Set the budget of a tenant' })
  putBudget(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: budgetOverrideInputSchema }) body: Parsed<typeof budgetOverrideInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.budgets.put(caller, tenantId, body, NAMES, ifMatch);
  }

  @Delete('budget')
  @Permission('tenant:owner')
  @Returns(undefined, { summary: 'Let a tenant follow the default budget' })
  async removeBudget(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    await this.budgets.remove(caller, tenantId, NAMES, ifMatch);
  }

  @Get('models')
  @Permission('tenant:viewer')
  @Returns(modelListSchema, { summary: 'List the models that a tenant may use' })
  readModels(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.models.read(tenantId);
  }

  @Put('models')
  @Permission('tenant:owner')
  @Returns(modelListSchema, { summary: 'Restrict a tenant to these models; an empty list means none' })
  setModels(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: tenantModelsInputSchema }) body: Parsed<typeof tenantModelsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.models.set(caller, tenantId, body.models, ifMatch);
  }

  @Delete('models')
  @Permission('tenant:owner')
  @Returns(undefined, { summary: 'Lift the restriction to a list of models' })
  async clearModels(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    await this.models.clear(caller, tenantId, ifMatch);
  }

  @Get('rate-limits')
  @Permission('tenant:viewer')
  @Returns(rateLimitsSchema, { summary: 'Show the own rate limits of a tenant; 404 when it follows the defaults' })
  readLimits(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.limits.read(tenantId);
  }

  @Put('rate-limits')
  @Permission('tenant:owner')
  @Returns(rateLimitsSchema, { summary: 'Set the rate limits of a tenant; 0 inherits' })
  putLimits(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: rateLimitsInputSchema }) body: Parsed<typeof rateLimitsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.limits.put(caller, tenantId, body, ifMatch);
  }

  @Delete('rate-limits')
  @Permission('tenant:owner')
  @Returns(undefined, { summary: 'Let a tenant follow the default rate limits' })
  async removeLimits(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    await this.limits.remove(caller, tenantId, ifMatch);
  }
}
