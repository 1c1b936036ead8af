import { Controller, Get, Query } from '@nestjs/common';
import { modelDailyQuerySchema, modelDailySchema, tenantDailyQuerySchema, tenantDailySchema, userDailyQuerySchema, userDailySchema } from '@omg/contracts';
import { csvFile, WantsCsv } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { partRows, TOTALS_COLUMNS } from './csv-rows.js';
import { DailyService } from './daily.service.js';

const TENANT_COLUMNS = ['tenant_id', 'tenant_name'] as const;
const KEY_COLUMNS = ['api_key_id', 'api_key_name', 'api_key_prefix'] as const;

@Controller('admin/usage')
export class DailyController {
  constructor(private readonly daily: DailyService) {}

  @Get('tenant/daily')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(tenantDailySchema, { summary: "A tenant's days with their keys, the dearest of the range first; the CSV has all of them", csv: true })
  async ofTenant(
    @Caller() caller: Principal,
    @Query({ schema: tenantDailyQuerySchema }) query: Parsed<typeof tenantDailyQuerySchema>,
    @WantsCsv() csv: boolean,
  ) {
    const report = await this.daily.ofTenant(caller, query, csv ? undefined : query);
    if (!csv) return report;
    return csvFile(
      'usage-tenant-daily',
      ['date', ...KEY_COLUMNS, ...TOTALS_COLUMNS],
      partRows(
        report.days.map(({ date, keys }) => ({ date, parts: keys })),
        KEY_COLUMNS,
      ),
    );
  }

  @Get('user/daily')
  @Permission('signed_in')
  @Returns(userDailySchema, { summary: "A user's days with their tenants, the dearest of the range first: oneself, or anybody for a super admin", csv: true })
  async ofUser(@Caller() caller: Principal, @Query({ schema: userDailyQuerySchema }) query: Parsed<typeof userDailyQuerySchema>, @WantsCsv() csv: boolean) {
    const report = await this.daily.ofUser(caller, query, csv ? undefined : query);
    if (!csv) return report;
    return csvFile(
      'usage-user-daily',
      ['date', ...TENANT_COLUMNS, ...TOTALS_COLUMNS],
      partRows(
        report.days.map(({ date, tenants }) => ({ date, parts: tenants })),
        TENANT_COLUMNS,
      ),
    );
  }

  @Get('model/daily')
  @Permission('any:viewer')
  @Returns(modelDailySchema, { summary: "A model's days with their tenants, the dearest of the range first; the CSV has all of them", csv: true })
  async ofModel(@Caller() caller: Principal, @Query({ schema: modelDailyQuerySchema }) query: Parsed<typeof modelDailyQuerySchema>, @WantsCsv() csv: boolean) {
    const report = await this.daily.ofModel(caller, query, csv ? undefined : query);
    if (!csv) return report;
    return csvFile(
      'usage-model-daily',
      ['date', ...TENANT_COLUMNS, ...TOTALS_COLUMNS],
      partRows(
        report.days.map(({ date, tenants }) => ({ date, parts: tenants })),
        TENANT_COLUMNS,
      ),
    );
  }
}
