import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type spendHistoryQuerySchema } from '@omg/contracts';
import { budgetWindow, centsFromNanoUsd, rollingDays, usdFromNanoUsd, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import { TENANT_SCOPE, type PrismaTx } from '@omg/database';
import type { Parsed } from '../http/paging.js';
import { hasTenantRole, requireSuperAdmin, type Principal } from '../http/principal.js';
import { ADMIN_CONFIG } from '../http/tokens.js';
import { defaultTerms, termsOf } from './budget-terms.js';
import { ReportContext } from './report-context.js';
import { ceilBucket, localTime } from './report-range.js';
import { addSums, type Sums } from './totals.js';
import { sumUsage, type UsageQuery } from './usage.queries.js';

const DAY_MS = 86_400_000;

interface Window {
  id: string;
  startMs: number;
  endMs: number;
}

interface Subject {
  scope: Pick<UsageQuery, 'tenantIds' | 'apiKeyIds'>;
  schedule: BudgetSchedule;
  /** Null: no limit, as for all tenants together. */
  limitNano: NanoUsd | null;
  warningThreshold: number;
  totalsOf?: { tenantId: string; apiKeyId: string };
}

/** Spend by budget window, newest first. Rolling schedules have no calendar: they are shown as consecutive blocks that end now. */
@Injectable()
export class SpendHistoryService {
  constructor(
    private readonly context: ReportContext,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets'>,
  ) {}

  async read(caller: Principal, query: Parsed<typeof spendHistoryQuerySchema>) {
    if (query.tenant_id === undefined && query.api_key_id === undefined) requireSuperAdmin(caller);
    const { timezone } = this.context;
    return this.context.snapshot(async (tx) => {
      const subject = await this.subject(tx, caller, query);
      const windows = windowsBack(subject.schedule, timezone, Date.now(), query.windows);
      const range = { startMs: windows[0]!.startMs, endMs: ceilBucket(windows.at(-1)!.endMs), timezone };
      const rows = await sumUsage(tx, { range, boundariesMs: windows.map(({ startMs }) => startMs), by: 'none', ...subject.scope });
      const limits = await recordedLimits(tx, subject, windows);
      const body = windows.map((window, index) => {
        const isCurrent = index === windows.length - 1;
        const limitNano = isCurrent ? subject.limitNano : (limits.get(window.id) ?? subject.limitNano);
        return windowBody(window, addSums(rows.filter(({ group }) => group === index)), {
          limitNano,
          warningThreshold: subject.warningThreshold,
          isCurrent,
          timezone,
        });
      });
      return {
        ...(query.tenant_id && { tenant_id: query.tenant_id }),
        ...(query.api_key_id && { api_key_id: query.api_key_id }),
        refresh_schedule: subject.schedule,
        timezone,
        windows: body.reverse(),
      };
    });
  }

  private async subject(tx: PrismaTx, caller: Principal, query: Parsed<typeof spendHistoryQuerySchema>): Promise<Subject> {
    if (query.api_key_id !== undefined) {
      const key = await tx.apiKey.findUnique({ where: { id: query.api_key_id } });
      const isVisible = key && hasTenantRole(caller, key.tenantId, 'viewer') && (query.tenant_id === undefined || query.tenant_id === key.tenantId);
      if (!isVisible) throw new AdminError('not_found', { message: 'The API key does not exist.' });
      const terms = (await termsOf(tx, this.config, [key.tenantId])).get(key.tenantId)!;
      const threshold = key.quotaWarningThreshold === null ? 0 : Number(key.quotaWarningThreshold);
      return {
        scope: { apiKeyIds: [key.id], tenantIds: [key.tenantId] },
        schedule: terms.schedule,
        limitNano: key.quotaNano,
        warningThreshold: threshold || terms.warningThreshold,
        totalsOf: { tenantId: key.tenantId, apiKeyId: key.id },
      };
    }
    if (query.tenant_id === undefined) return { scope: {}, ...(await defaultTerms(tx, this.config)), limitNano: null };
    const terms = (await termsOf(tx, this.config, [query.tenant_id])).get(query.tenant_id)!;
    return { scope: { tenantIds: [query.tenant_id] }, ...terms, totalsOf: { tenantId: query.tenant_id, apiKeyId: TENANT_SCOPE } };
  }
}

/** The last `count` windows, oldest first, the running one included. */
export function windowsBack(schedule: BudgetSchedule, timezone: string, nowMs: number, count: number): Window[] {
  const windows: Window[] = [];
  const days = rollingDays(schedule);
  if (days !== undefined) {
    const endMs = ceilBucket(nowMs);
    for (let back = count; back >= 1; back--) windows.push({ id: schedule, startMs: endMs - back * days * DAY_MS, endMs: endMs - (back - 1) * days * DAY_MS });
    return windows;
  }
  let atMs = nowMs;
  for (let index = 0; index < count; index++) {
    const { id, startMs, endMs } = budgetWindow(schedule, timezone, atMs);
    windows.unshift({ id, startMs, endMs });
    atMs = startMs - 1;
  }
  return windows;
}

/** Limits as they were when each window was last written. A rolling window's row tells only about now. */
async function recordedLimits(tx: PrismaTx, subject: Subject, windows: readonly Window[]): Promise<Map<string, NanoUsd | null>> {
  if (!subject.totalsOf || rollingDays(subject.schedule) !== undefined) return new Map();
  const rows = await tx.budgetTotal.findMany({
    where: { ...subject.totalsOf, windowId: { in: windows.map(({ id }) => id) } },
    select: { windowId: true, limitNano: true },
  });
  return new Map(rows.map((row) => [row.windowId, row.limitNano]));
}

function windowBody(window: Window, sums: Sums, terms: { limitNano: NanoUsd | null; warningThreshold: number; isCurrent: boolean; timezone: string }) {
  const { limitNano } = terms;
  const exceeded = limitNano !== null && sums.costNano >= limitNano;
  // Compared in integers: threshold in ten-thousandths, as the column keeps it.
  const warnsAt = limitNano === null ? null : limitNano * BigInt(Math.round(terms.warningThreshold * 10_000));
  return {
    start: localTime(window.startMs, terms.timezone),
    end: localTime(window.endMs, terms.timezone),
    limit_usd: limitNano === null ? null : Number(usdFromNanoUsd(limitNano)),
    spent_usd: Number(usdFromNanoUsd(sums.costNano)),
    cost_cents: Number(centsFromNanoUsd(sums.costNano)),
    requests: sums.requests,
    tokens: sums.tokens,
    warning: !exceeded && warnsAt !== null && sums.costNano * 10_000n >= warnsAt,
    exceeded,
    current: terms.isCurrent,
  };
}
