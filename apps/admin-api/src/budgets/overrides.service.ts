import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type budgetOverrideInputSchema } from '@omg/contracts';
import { nanoUsdFromUsd, parseBudgetSchedule, usdFromNanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import { Prisma, type PrismaClient, type PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import { requireVersion } from '../http/if-match.js';
import type { Parsed } from '../http/paging.js';
import { requireTenantRole, visibleTenantIds, type Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { requireBudgetAllowed, type BudgetStrength } from '../tenants/owner-limits.js';
import { lockTenant, requireGovernor } from '../tenants/tenant-lock.js';
import { defaultBudget, type DefaultBudget } from './default-budget.js';
import { WebhookGuard } from './webhook-guard.js';

const WITH_STATE = { tenant: { select: { budgetState: true } } } satisfies Prisma.TenantBudgetOverrideInclude;
type OverrideRow = Prisma.TenantBudgetOverrideGetPayload<{ include: typeof WITH_STATE }>;
/** The same change is reachable by two routes, which the audit log tells apart. */
export interface OverrideNames {
  action: 'tenant.budget' | 'budget.override';
  resource: 'tenant' | 'budget_override';
}

const OVERRIDES_MAX = 10_000;

/** Budgets of single tenants. Fields that an override leaves out follow the default, live. */
@Injectable()
export class OverridesService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets' | 'reporting'>,
    private readonly webhooks: WebhookGuard,
  ) {}

  async list(caller: Principal, tenantId: string | undefined) {
    if (tenantId !== undefined) requireTenantRole(caller, tenantId, 'viewer');
    const ids = tenantId === undefined ? visibleTenantIds(caller, 'viewer') : [tenantId];
    const rows = await this.prisma.tenantBudgetOverride.findMany({
      where: ids ? { tenantId: { in: ids } } : {},
      include: WITH_STATE,
      orderBy: { createdAt: 'asc' },
      take: OVERRIDES_MAX,
    });
    const base = await defaultBudget(this.prisma, this.config);
    return { overrides: rows.map((row) => overrideBody(row, base)), timezone: this.config.reporting.timezone };
  }

  async read(tenantId: string) {
    const row = await this.prisma.tenantBudgetOverride.findUnique({ where: { tenantId }, include: WITH_STATE });
    if (!row) throw new AdminError('not_found', { message: 'The tenant has no budget of its own.' });
    return overrideBody(row, await defaultBudget(this.prisma, this.config));
  }

  async put(caller: Principal, tenantId: string, input: Parsed<typeof budgetOverrideInputSchema>, names: OverrideNames, ifMatch?: string) {
    await this.webhooks.check(input.alert_webhooks);
    return this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId);
      requireGovernor(caller, tenant);
      const before = await tx.tenantBudgetOverride.findUnique({ where: { tenantId }, include: WITH_STATE });
      requireVersion(ifMatch, before?.version ?? 0);
      const base = await defaultBudget(tx, this.config);
      const columns = overrideColumns(input);
      requireBudgetAllowed(caller, strengthOf(columns, base), strengthOf(before, base), strengthOf(null, base));
      const row = await tx.tenantBudgetOverride.upsert({
        where: { tenantId },
        create: { tenantId, ...columns },
        update: { ...columns, version: { increment: 1 } },
        include: WITH_STATE,
      });
      const after = overrideBody(row, base);
      await this.audit(tx, caller, tenantId, { ...names, action: `${names.action}.upsert` }, before && overrideBody(before, base), after);
      return after;
    });
  }

  async remove(caller: Principal, tenantId: string, names: OverrideNames, ifMatch?: string): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId);
      requireGovernor(caller, tenant);
      const before = await tx.tenantBudgetOverride.findUnique({ where: { tenantId }, include: WITH_STATE });
      if (!before) throw new AdminError('not_found', { message: 'The tenant has no budget of its own.' });
      requireVersion(ifMatch, before.version);
      const base = await defaultBudget(tx, this.config);
      requireBudgetAllowed(caller, strengthOf(null, base), strengthOf(before, base), strengthOf(null, base));
      await tx.tenantBudgetOverride.delete({ where: { tenantId } });
      await this.audit(tx, caller, tenantId, { ...names, action: `${names.action}.delete` }, overrideBody(before, base), null);
    });
  }

  private audit(
    tx: PrismaTx,
    caller: Principal,
    tenantId: string,
    names: { action: string; resource: string },
    before: OverrideBody | null,
    after: OverrideBody | null,
  ): Promise<void> {
    return audit(tx, {
      actor: actorOf(caller),
      action: names.action,
      resource: names.resource,
      resourceId: tenantId,
      tenantId,
      ...(after && { metadata: changeable(after) }),
      before: before && changeable(before),
      after: after && changeable(after),
    });
  }
}

type Columns = Pick<
  Prisma.TenantBudgetOverrideUncheckedCreateInput,
  'budgetNano' | 'warningThreshold' | 'refreshSchedule' | 'enforcement' | 'alertEmails' | 'alertWebhooks' | 'alertCooldownSeconds'
>;

function overrideColumns(input: Parsed<typeof budgetOverrideInputSchema>): Columns {
  return {
    budgetNano: input.budget_usd == null ? null : nanoUsdFromUsd(input.budget_usd),
    warningThreshold: input.warning_threshold ?? null,
    refreshSchedule: input.refresh_schedule ?? null,
    enforcement: input.enforcement ?? null,
    alertEmails: input.alert_emails ?? Prisma.DbNull,
    alertWebhooks: input.alert_webhooks ?? Prisma.DbNull,
    alertCooldownSeconds: input.alert_cooldown_seconds ?? null,
  };
}

function strengthOf(row: Pick<Columns, 'budgetNano' | 'refreshSchedule' | 'enforcement'> | null, base: DefaultBudget): BudgetStrength {
  return {
    limitNano: BigInt(row?.budgetNano ?? base.limitNano),
    schedule: (row?.refreshSchedule && parseBudgetSchedule(row.refreshSchedule)) || base.schedule,
    enforcement: (row?.enforcement as BudgetStrength['enforcement'] | null | undefined) ?? base.enforcement,
  };
}

type OverrideBody = ReturnType<typeof overrideBody>;

function overrideBody(row: OverrideRow, base: DefaultBudget) {
  const own = {
    budget_usd: row.budgetNano === null ? null : Number(usdFromNanoUsd(row.budgetNano)),
    warning_threshold: row.warningThreshold?.toNumber() ?? null,
    refresh_schedule: row.refreshSchedule,
    enforcement: row.enforcement as BudgetStrength['enforcement'] | null,
    alert_emails: row.alertEmails as string[] | null,
    alert_webhooks: row.alertWebhooks as string[] | null,
    alert_cooldown_seconds: row.alertCooldownSeconds,
  };
  return {
    tenant_id: row.tenantId,
    budget_usd: own.budget_usd ?? Number(usdFromNanoUsd(BigInt(base.limitNano))),
    warning_threshold: own.warning_threshold ?? base.warningThreshold,
    refresh_schedule: own.refresh_schedule ?? base.schedule,
    enforcement: own.enforcement ?? base.enforcement,
    alert_emails: own.alert_emails ?? base.alert.emails,
    alert_webhooks: own.alert_webhooks ?? base.alert.webhooks,
    alert_cooldown_seconds: own.alert_cooldown_seconds ?? base.alert.cooldownSeconds,
    inherited: Object.entries(own).flatMap(([name, value]) => (value === null ? [name] : [])),
    last_alert_at: row.tenant.budgetState?.lastAlertAt?.toISOString() ?? null,
    last_alert_level: row.tenant.budgetState?.lastLevel ?? null,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    version: row.version,
  };
}

function changeable({
  tenant_id: _id,
  last_alert_at: _at,
  last_alert_level: _level,
  created_at: _created,
  updated_at: _updated,
  version: _version,
  ...rest
}: OverrideBody) {
  return rest;
}
