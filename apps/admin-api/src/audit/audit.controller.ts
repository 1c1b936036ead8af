import { Controller, Get, Query } from '@nestjs/common';
import { auditListSchema, auditQuerySchema } from '@omg/contracts';
import { csvFile, WantsCsv } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { AUDIT_COLUMNS, AuditService } from './audit.service.js';

@Controller('admin/audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get('logs')
  @Permission('any:admin', { tenantQuery: 'tenant_id' })
  @Returns(auditListSchema, { summary: 'Read the audit log, newest first; the CSV has all that match', csv: true })
  async list(@Caller() caller: Principal, @Query({ schema: auditQuerySchema }) query: Parsed<typeof auditQuerySchema>, @WantsCsv() csv: boolean) {
    return csv ? csvFile('audit-log', AUDIT_COLUMNS, this.audit.csvRows(caller, query)) : this.audit.list(caller, query);
  }
}
