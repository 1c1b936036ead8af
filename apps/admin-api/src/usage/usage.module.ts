import { Module } from '@nestjs/common';
import { AnomaliesService } from './anomalies.service.js';
import { DailyController } from './daily.controller.js';
import { DailyService } from './daily.service.js';
import { KeyReportService } from './key-report.service.js';
import { ReportContext } from './report-context.js';
import { ReportsService } from './reports.service.js';
import { RequestLogService } from './request-log.service.js';
import { SpendHistoryController } from './spend-history.controller.js';
import { SpendHistoryService } from './spend-history.service.js';
import { UsageController } from './usage.controller.js';
import { UsageDaysJob } from './usage-days.job.js';

@Module({
  controllers: [UsageController, DailyController, SpendHistoryController],
  providers: [UsageDaysJob, ReportContext, ReportsService, AnomaliesService, KeyReportService, RequestLogService, DailyService, SpendHistoryService],
  exports: [ReportContext, UsageDaysJob],
})
export class UsageModule {}
