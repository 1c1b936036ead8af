import { Controller, Get, Query } from '@nestjs/common';
import { auditListSchema, auditQuerySchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { AuditService } from './audit.service.js';

@Controller('admin/audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get('logs')
  @Permission('any:admin', { tenantQuery: 'tenant_id' })
  @Returns(auditListSchema, { summary: 'Read the audit log, newest first' })
  list(@Caller() caller: Principal, @Query({ schema: auditQuerySchema }) query: Parsed<typeof auditQuerySchema>) {
    return this.audit.list(caller, query);
  }
}
