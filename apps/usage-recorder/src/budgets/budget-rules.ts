import type { AlertTransportSetting } from '@omg/contracts';
import { nanoUsdFromUsd, parseBudgetSchedule, type BudgetSchedule, type NanoUsd } from '@omg/domain';
import type { Config } from '@omg/service-kit';
import { readSettings, readTenantBudget, type Transaction } from '@omg/database';

/** What a tenant without an override gets, and the part of it that an override replaces. */
export interface DefaultBudget {
  limitNano: NanoUsd;
  /** Fraction of the limit. */
  warningThreshold: number;
  schedule: BudgetSchedule;
  alert: { enabled: boolean; emails: readonly string[]; webhooks: readonly string[]; cooldownMs: number };
}

export interface TenantBudget extends DefaultBudget {
  tenantName: string;
}

export interface AlertTransport {
  smtp: {
    host: string;
    port: number;
    username: string;
    /** Plain in the configuration file, sealed in the settings. */
    password: { plain: string } | { sealed: string };
    from: string;
    useTls: boolean;
    skipTlsVerify: boolean;
    /** Also bounds the whole delivery. */
    timeoutMs: number;
  };
  webhook: { timeoutMs: number; attemptsMax: number };
}

interface Effective {
  budget: DefaultBudget;
  transport: AlertTransport;
}

/**
 * Budgets and alert settings in force: the tenant's override, else the persisted settings, else the configuration file.
 * Read anew each time, one statement for a whole commit: which tenants are near their limit must follow a change at once.
 */
export class BudgetRules {
  private fromConfig: Effective;
  private lastKnown: Effective | undefined;

  constructor(
    config: Config['budgets'],
    private readonly onInvalidSettings: (error: unknown) => void,
  ) {
    this.fromConfig = effectiveFrom(config);
  }

  /** The configuration file says something else now. */
  replaceConfig(config: Config['budgets']): void {
    this.fromConfig = effectiveFrom(config);
  }

  async defaults(tx: Transaction): Promise<DefaultBudget> {
    return (await this.effective(tx)).budget;
  }

  async transport(tx: Transaction): Promise<AlertTransport> {
    return (await this.effective(tx)).transport;
  }

  /** Undefined: no such tenant. */
  async forTenant(tx: Transaction, tenantId: string): Promise<TenantBudget | undefined> {
    const { budget: defaults } = await this.effective(tx);
    const override = await readTenantBudget(tx, tenantId);
    if (!override) return undefined;
    return {
      tenantName: override.tenantName,
      limitNano: override.limitNano ?? defaults.limitNano,
      warningThreshold: override.warningThreshold ?? defaults.warningThreshold,
      schedule: override.schedule ?? defaults.schedule,
      alert: {
        enabled: defaults.alert.enabled,
        emails: override.emails ?? defaults.alert.emails,
        webhooks: override.webhooks ?? defaults.alert.webhooks,
        cooldownMs: override.cooldownSeconds === null ? defaults.alert.cooldownMs : override.cooldownSeconds * 1_000,
      },
    };
  }

  private async effective(tx: Transaction): Promise<Effective> {
    try {
      const { budget, alerts } = await readSettings(tx);
      this.lastKnown = {
        budget: budget ? budgetFromSetting(budget) : this.fromConfig.budget,
        transport: alerts ? transportFromSetting(alerts) : this.fromConfig.transport,
      };
    } catch (error) {
      if ((error as { code?: unknown }).code !== undefined) throw error;
      // A row that cannot be read must not stop the booking.
      this.onInvalidSettings(error);
    }
    return this.lastKnown ?? this.fromConfig;
  }
}

function effectiveFrom(config: Config['budgets']): Effective {
  return { budget: budgetFromConfig(config), transport: transportFromConfig(config) };
}

function scheduleOf(text: string): BudgetSchedule {
  const schedule = parseBudgetSchedule(text);
  if (schedule === undefined) throw new RangeError('unknown budget schedule');
  return schedule;
}

function budgetFromConfig(config: Config['budgets']): DefaultBudget {
  const { enabled, emails, webhooks, cooldownMs } = config.alert;
  return {
    limitNano: nanoUsdFromUsd(config.defaultUsd),
    warningThreshold: config.warningThresholdPerc,
    schedule: scheduleOf(config.refreshSchedule),
    alert: { enabled, emails, webhooks, cooldownMs },
  };
}

function budgetFromSetting(setting: NonNullable<Awaited<ReturnType<typeof readSettings>>['budget']>): DefaultBudget {
  const { enabled, emails, webhooks, cooldownSeconds } = setting.alert;
  return {
    limitNano: BigInt(setting.limitNano),
    warningThreshold: setting.warningThreshold,
    schedule: scheduleOf(setting.schedule),
    alert: { enabled, emails, webhooks, cooldownMs: cooldownSeconds * 1_000 },
  };
}

function transportFromConfig({ alert }: Config['budgets']): AlertTransport {
  const { host, port, username, password, from, useTls, skipTlsVerify, connectTimeoutMs } = alert.smtp;
  return {
    smtp: { host, port, username, password: { plain: password }, from, useTls, skipTlsVerify, timeoutMs: connectTimeoutMs },
    webhook: { timeoutMs: alert.webhook.timeoutMs, attemptsMax: alert.webhook.maxRetries },
  };
}

function transportFromSetting({ smtp, webhook }: AlertTransportSetting): AlertTransport {
  const { host, port, username, sealedPassword, from, useTls, skipTlsVerify, connectTimeoutSeconds } = smtp;
  const password = sealedPassword === '' ? { plain: '' } : { sealed: sealedPassword };
  return {
    // 0 means "the default" in the admin API's answers.
    smtp: { host, port, username, password, from, useTls, skipTlsVerify, timeoutMs: (connectTimeoutSeconds || 5) * 1_000 },
    webhook: { timeoutMs: (webhook.timeoutSeconds || 5) * 1_000, attemptsMax: webhook.maxRetries || 3 },
  };
}
