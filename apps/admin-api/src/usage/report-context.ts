import { Inject, Injectable } from '@nestjs/common';
import type { RangeQuery } from '@omg/contracts';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { requireTenantRole, visibleTenantIds, type Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { parseDailyRange, parseRange, parseTimezone, type ReportRange } from './report-range.js';
import { UsageDaysJob } from './usage-days.job.js';
import { inSnapshot } from './usage.queries.js';

/** What every report begins with: its range, the tenants that its caller may see, and one snapshot to read from. */
@Injectable()
export class ReportContext {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'reporting'>,
    private readonly days: UsageDaysJob,
  ) {}

  get timezone(): string {
    return this.config.reporting.timezone;
  }

  async range(query: RangeQuery, period: string): Promise<ReportRange> {
    const range = parseRange(query, { period, timezone: this.timezone, nowMs: Date.now() });
    await this.days.touch(range.timezone);
    return range;
  }

  async dailyRange(query: RangeQuery, period: string): Promise<ReportRange> {
    const range = parseDailyRange(query, { period, timezone: this.timezone, nowMs: Date.now() });
    await this.days.touch(range.timezone);
    return range;
  }

  zone(timezone: string | undefined): string {
    return parseTimezone(timezone, this.timezone);
  }

  /** The one tenant that was named, or all that the caller may see; undefined: every tenant. */
  scope(caller: Principal, tenantId: string | undefined): string[] | undefined {
    if (tenantId === undefined) return visibleTenantIds(caller, 'viewer');
    requireTenantRole(caller, tenantId, 'viewer');
    return [tenantId];
  }

  snapshot<T>(work: (tx: PrismaTx) => Promise<T>): Promise<T> {
    return inSnapshot(this.prisma, work);
  }
}
