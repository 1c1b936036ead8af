import { Controller, Get, Query } from '@nestjs/common';
import { spendHistoryQuerySchema, spendHistorySchema } from '@omg/contracts';
import { csvFile, WantsCsv } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { SpendHistoryService } from './spend-history.service.js';

@Controller('admin/budgets/history')
export class SpendHistoryController {
  constructor(private readonly history: SpendHistoryService) {}

  @Get()
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(spendHistorySchema, { summary: 'Spend by budget window, newest first', csv: true })
  async read(@Caller() caller: Principal, @Query({ schema: spendHistoryQuerySchema }) query: Parsed<typeof spendHistoryQuerySchema>, @WantsCsv() csv: boolean) {
    const report = await this.history.read(caller, query);
    return csv
      ? csvFile(
          'spend-history',
          ['start', 'end', 'limit_usd', 'spent_usd', 'cost_cents', 'requests', 'tokens', 'warning', 'exceeded', 'current'],
          report.windows,
        )
      : report;
  }
}
