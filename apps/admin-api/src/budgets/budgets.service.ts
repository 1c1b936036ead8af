import { Inject, Injectable } from '@nestjs/common';
import { SETTING_KEYS, type BudgetSetting, type budgetDefaultsInputSchema } from '@omg/contracts';
import { nanoUsdFromUsd, usdFromNanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { lockSetting, saveSetting } from '../settings/save-setting.js';
import { defaultBudget, type DefaultBudget } from './default-budget.js';
import { WebhookGuard } from './webhook-guard.js';

/** The budget of every tenant without an override. */
@Injectable()
export class BudgetsService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets' | 'reporting'>,
    private readonly webhooks: WebhookGuard,
  ) {}

  readDefault() {
    return this.defaultBody(this.prisma);
  }

  async putDefault(caller: Principal, input: Parsed<typeof budgetDefaultsInputSchema>, ifMatch?: string) {
    await this.webhooks.check(input.alert_webhooks);
    return this.prisma.$transaction(async (tx) => {
      await lockSetting(tx, SETTING_KEYS.budget);
      const before = await defaultBudget(tx, this.config);
      const value: BudgetSetting = {
        limitNano: nanoUsdFromUsd(input.default_usd).toString(),
        warningThreshold: input.warning_threshold,
        schedule: input.refresh_schedule,
        enforcement: input.enforcement ?? before.enforcement,
        alert: {
          enabled: input.alert_enabled ?? before.alert.enabled,
          emails: input.alert_emails ?? before.alert.emails,
          webhooks: input.alert_webhooks ?? before.alert.webhooks,
          cooldownSeconds: input.alert_cooldown_seconds ?? before.alert.cooldownSeconds,
        },
      };
      await saveSetting(tx, caller, SETTING_KEYS.budget, value, ifMatch);
      const body = await this.defaultBody(tx);
      const after = auditBody(await defaultBudget(tx, this.config));
      await audit(tx, {
        actor: actorOf(caller),
        action: 'budget.default.update',
        resource: 'budget_default',
        resourceId: 'global',
        metadata: after,
        before: auditBody(before),
        after,
      });
      return body;
    });
  }

  private async defaultBody(tx: PrismaTx) {
    const budget = await defaultBudget(tx, this.config);
    return {
      ...valuesBody(budget),
      ...(budget.changes && { metadata: await changesBody(tx, budget.changes) }),
      timezone: this.config.reporting.timezone,
      version: budget.version,
    };
  }
}

function valuesBody(budget: DefaultBudget) {
  return {
    default_usd: Number(usdFromNanoUsd(BigInt(budget.limitNano))),
    warning_threshold_perc: budget.warningThreshold,
    refresh_schedule: budget.schedule,
    enforcement: budget.enforcement,
    alert: { enabled: budget.alert.enabled, emails: budget.alert.emails, webhooks: budget.alert.webhooks, cooldown_seconds: budget.alert.cooldownSeconds },
  };
}

/** One level deep, so that the audit log shows which field changed. */
function auditBody(budget: DefaultBudget) {
  const { alert, ...rest } = valuesBody(budget);
  return { ...rest, alert_enabled: alert.enabled, alert_emails: alert.emails, alert_webhooks: alert.webhooks, alert_cooldown_seconds: alert.cooldown_seconds };
}

async function changesBody(tx: PrismaTx, changes: NonNullable<DefaultBudget['changes']>) {
  const ids = [changes.createdBy, changes.updatedBy].filter((id) => id !== null);
  const people = await tx.user.findMany({ where: { id: { in: ids } }, select: { id: true, name: true, email: true } });
  const person = (id: string | null) => people.find((user) => user.id === id);
  return {
    created_at: changes.createdAt.toISOString(),
    updated_at: changes.updatedAt.toISOString(),
    created_by: person(changes.createdBy),
    updated_by: person(changes.updatedBy),
  };
}
