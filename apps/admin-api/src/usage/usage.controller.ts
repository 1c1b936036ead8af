import { Controller, Get, Param, Query } from '@nestjs/common';
import {
  anomaliesQuerySchema,
  anomaliesSchema,
  keyReportQuerySchema,
  keyReportSchema,
  keyUsageQuerySchema,
  keyUsageSchema,
  requestLogQuerySchema,
  requestLogSchema,
  usageBreakdownQuerySchema,
  usageBreakdownSchema,
  usageCompareQuerySchema,
  usageCompareSchema,
  usageSummaryQuerySchema,
  usageSummarySchema,
  uuidSchema,
} from '@omg/contracts';
import { csvFile, WantsCsv } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { AnomaliesService } from './anomalies.service.js';
import { POINT_COLUMNS, pointRows, TOTALS_COLUMNS, totalsCells } from './csv-rows.js';
import { DailyService } from './daily.service.js';
import { KEY_COLUMNS, KeyReportService } from './key-report.service.js';
import { ReportsService } from './reports.service.js';
import { REQUEST_COLUMNS, RequestLogService } from './request-log.service.js';

@Controller('admin')
export class UsageController {
  constructor(
    private readonly reports: ReportsService,
    private readonly anomalies: AnomaliesService,
    private readonly keys: KeyReportService,
    private readonly requests: RequestLogService,
    private readonly daily: DailyService,
  ) {}

  @Get('usage/summary')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(usageSummarySchema, { summary: 'Totals and daily points', csv: true })
  async summary(
    @Caller() caller: Principal,
    @Query({ schema: usageSummaryQuerySchema }) query: Parsed<typeof usageSummaryQuerySchema>,
    @WantsCsv() csv: boolean,
  ) {
    const report = await this.reports.summary(caller, query);
    return csv ? csvFile('usage-summary', POINT_COLUMNS, pointRows(report.points)) : report;
  }

  @Get('usage/breakdown')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(usageBreakdownSchema, { summary: 'The dearest tenants, models, users or keys; the CSV has all of them', csv: true })
  async breakdown(
    @Caller() caller: Principal,
    @Query({ schema: usageBreakdownQuerySchema }) query: Parsed<typeof usageBreakdownQuerySchema>,
    @WantsCsv() csv: boolean,
  ) {
    const report = await this.reports.breakdown(caller, query, csv ? undefined : query.limit);
    if (!csv) return report;
    return csvFile(
      'usage-breakdown',
      ['group', 'id', 'label', ...TOTALS_COLUMNS],
      report.items.map((item) => ({ group: report.group, id: item.id, label: item.label, ...totalsCells(item) })),
    );
  }

  @Get('usage/compare')
  @Permission('any:viewer')
  @Returns(usageCompareSchema, { summary: 'Daily series of up to ten tenants, models and users', csv: true })
  async compare(
    @Caller() caller: Principal,
    @Query({ schema: usageCompareQuerySchema }) query: Parsed<typeof usageCompareQuerySchema>,
    @WantsCsv() csv: boolean,
  ) {
    const report = await this.reports.compare(caller, query);
    if (!csv) return report;
    return csvFile(
      'usage-compare',
      ['kind', 'id', 'label', ...POINT_COLUMNS],
      report.series.flatMap(({ kind, id, label, points }) => [...pointRows(points, { kind, id, label })]),
    );
  }

  @Get('usage/api-keys')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(keyReportSchema, { summary: 'Usage by API key; the CSV has all of them', csv: true })
  async apiKeys(@Caller() caller: Principal, @Query({ schema: keyReportQuerySchema }) query: Parsed<typeof keyReportQuerySchema>, @WantsCsv() csv: boolean) {
    return csv ? csvFile('usage-api-keys', KEY_COLUMNS, this.keys.csvRows(caller, query)) : this.keys.list(caller, query);
  }

  @Get('tenants/:tenantId/api-keys/:keyId/usage')
  @Permission('tenant:viewer')
  @Returns(keyUsageSchema, { summary: 'Totals and daily points of one API key', csv: true })
  async ofKey(
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Param('keyId', { schema: uuidSchema }) keyId: string,
    @Query({ schema: keyUsageQuerySchema }) query: Parsed<typeof keyUsageQuerySchema>,
    @WantsCsv() csv: boolean,
  ) {
    const report = await this.daily.ofKey(tenantId, keyId, query);
    return csv ? csvFile('usage-api-key', POINT_COLUMNS, pointRows(report.series)) : report;
  }

  @Get('usage/anomalies')
  @Permission('any:viewer')
  @Returns(anomaliesSchema, { summary: 'Unusual days against the median of the 14 days before; the CSV has all of them', csv: true })
  async unusual(@Caller() caller: Principal, @Query({ schema: anomaliesQuerySchema }) query: Parsed<typeof anomaliesQuerySchema>, @WantsCsv() csv: boolean) {
    const report = await this.anomalies.list(caller, query, csv ? undefined : query.limit);
    return csv ? csvFile('usage-anomalies', ['kind', 'id', 'label', 'date', 'metric', 'value', 'expected', 'score', 'direction'], report.anomalies) : report;
  }

  @Get('usage/requests')
  @Permission('any:viewer', { tenantQuery: 'tenant_id' })
  @Returns(requestLogSchema, { summary: 'The log of requests, newest first; the CSV has all that match', csv: true })
  async log(@Caller() caller: Principal, @Query({ schema: requestLogQuerySchema }) query: Parsed<typeof requestLogQuerySchema>, @WantsCsv() csv: boolean) {
    if (!csv) return this.requests.list(caller, query);
    return csvFile('requests', REQUEST_COLUMNS, this.requests.csvRows(caller, query));
  }
}
