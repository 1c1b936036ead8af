import { Body, Controller, Delete, Get, Headers, Param, Put, Query } from '@nestjs/common';
import {
  budgetDefaultsInputSchema,
  budgetDefaultsSchema,
  budgetOverrideInputSchema,
  budgetOverrideListQuerySchema,
  budgetOverrideListSchema,
  budgetOverrideSchema,
  uuidSchema,
} from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { BudgetsService } from './budgets.service.js';
import { OverridesService, type OverrideNames } from './overrides.service.js';

const NAMES: OverrideNames = { action: 'budget.override', resource: 'budget_override' };

@Controller('admin/budgets')
export class BudgetsController {
  constructor(
    private readonly budgets: BudgetsService,
    private readonly overrides: OverridesService,
  ) {}

  @Get('default')
  @Permission('any:admin')
  @Returns(budgetDefaultsSchema, { summary: 'Show the budget of tenants without an override' })
  readDefault() {
    return this.budgets.readDefault();
  }

  @Put('default')
  @Permission('super_admin')
  @Returns(budgetDefaultsSchema, { summary: 'Change the default budget; it wins over the configuration file' })
  putDefault(
    @Caller() caller: Principal,
    @Body({ schema: budgetDefaultsInputSchema }) body: Parsed<typeof budgetDefaultsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.budgets.putDefault(caller, body, ifMatch);
  }

  @Get('overrides')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(budgetOverrideListSchema, { summary: 'List budget overrides' })
  list(@Caller() caller: Principal, @Query({ schema: budgetOverrideListQuerySchema }) query: Parsed<typeof budgetOverrideListQuerySchema>) {
    return this.overrides.list(caller, query.tenant_id);
  }

  @Put('overrides/:tenantId')
  @Permission('tenant:owner')
  @Returns(budgetOverrideSchema, { summary: 'Set the budget of a tenant' })
  put(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: budgetOverrideInputSchema }) body: Parsed<typeof budgetOverrideInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.overrides.put(caller, tenantId, body, NAMES, ifMatch);
  }

  @Delete('overrides/:tenantId')
  @Permission('tenant:owner')
  @Returns(undefined, { summary: 'Let a tenant follow the default budget' })
  async remove(@Caller() caller: Principal, @Param('tenantId', { schema: uuidSchema }) tenantId: string, @Headers('if-match') ifMatch?: string): Promise<void> {
    await this.overrides.remove(caller, tenantId, NAMES, ifMatch);
  }
}
