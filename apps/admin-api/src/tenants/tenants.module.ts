import { Module } from '@nestjs/common';
import { BudgetsModule } from '../budgets/budgets.module.js';
import { TenantGovernanceController } from './tenant-governance.controller.js';
import { TenantLimitsService } from './tenant-limits.service.js';
import { TenantModelsService } from './tenant-models.service.js';
import { TenantsController } from './tenants.controller.js';
import { TenantsService } from './tenants.service.js';

@Module({
  imports: [BudgetsModule],
  controllers: [TenantsController, TenantGovernanceController],
  providers: [TenantsService, TenantLimitsService, TenantModelsService],
})
export class TenantsModule {}
