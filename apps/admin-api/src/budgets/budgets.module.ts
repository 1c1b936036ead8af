import { Module } from '@nestjs/common';
import { BudgetFigures } from './budget-figures.js';
import { BudgetsController } from './budgets.controller.js';
import { BudgetsService } from './budgets.service.js';
import { OverridesService } from './overrides.service.js';
import { WebhookGuard } from './webhook-guard.js';

@Module({
  controllers: [BudgetsController],
  providers: [BudgetsService, OverridesService, BudgetFigures, WebhookGuard],
  exports: [OverridesService, BudgetFigures],
})
export class BudgetsModule {}
