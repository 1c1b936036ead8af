import { Controller, Get, Query } from '@nestjs/common';
import { alertHistoryQuerySchema, alertHistorySchema } from '@omg/contracts';
import { csvFile, WantsCsv } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { ALERT_COLUMNS, AlertHistoryService } from './alert-history.service.js';

@Controller('admin/budgets/alerts')
export class AlertHistoryController {
  constructor(private readonly alerts: AlertHistoryService) {}

  @Get()
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(alertHistorySchema, { summary: 'Budget alerts and their delivery, newest first; the CSV has all that match', csv: true })
  async list(@Caller() caller: Principal, @Query({ schema: alertHistoryQuerySchema }) query: Parsed<typeof alertHistoryQuerySchema>, @WantsCsv() csv: boolean) {
    return csv ? csvFile('alerts', ALERT_COLUMNS, this.alerts.csvRows(caller, query)) : this.alerts.list(caller, query);
  }
}
