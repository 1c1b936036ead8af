import { createHmac } from 'node:crypto';
import { hashApiKeySecret, nanoUsdFromUsd, parseBudgetSchedule, canonicalJson } from '@omg/domain';
import { parseDurationMs } from '@omg/service-kit';
import { ADVISORY_LOCKS, Prisma, type PrismaClient, type PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { boundedName } from '../bounded-name.js';
import type { AdminConfig, CatalogContext } from '../config.js';
import { syncConfigCatalog } from '../model-catalog/sync-config.js';
import { newId } from '../new-id.js';
import { createAccount, ensurePersonalTenant, setPasswordHash } from '../users/accounts.js';

/**
 * Brings the configuration's `bootstrap` lists and its model catalog into the database, in one transaction and under an
 * advisory lock, so that replicas that start together take turns and a failing start changes nothing.
 *
 * What operators change in `/admin` stays: a record is applied again only when the file says something else than it did
 * at its last application, which a fingerprint remembers. Removing a line removes nothing. Fingerprints are keyed with the
 * pepper, since some of them cover passwords.
 */
export interface BootstrapInput extends CatalogContext {
  bootstrap: AdminConfig['bootstrap'];
  modelCatalog: AdminConfig['modelCatalog'];
  pepper: string;
  /** Without local login passwords in the file are ignored. */
  localLogin: boolean;
  hashPassword(password: string): Promise<string>;
}

export interface BootstrapReport {
  /** Such as `tenant:acme`, `api_key:demo`; in order. */
  created: string[];
  updated: string[];
  catalog: { added: number; updated: number; removed: number };
  warnings: string[];
}

/** The file asks for something impossible, such as a key of an unknown tenant: the service must not start. */
export class BootstrapError extends Error {
  constructor(message: string) {
    super(`bootstrap: ${message}`);
    this.name = 'BootstrapError';
  }
}

const RECORD_CHARS_MAX = 256;

const storedName = (record: string): string => boundedName(record, RECORD_CHARS_MAX);

const TRANSACTION = { maxWait: 30_000, timeout: 300_000 };

export async function runBootstrap(prisma: PrismaClient, input: BootstrapInput): Promise<BootstrapReport> {
  return prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.space}::int, ${ADVISORY_LOCKS.bootstrap}::int)`;
    const run = new BootstrapRun(tx, input, await readFingerprints(tx));
    return run.all();
  }, TRANSACTION);
}

async function readFingerprints(tx: PrismaTx): Promise<Map<string, string>> {
  const rows = await tx.bootstrapFingerprint.findMany();
  return new Map(rows.map((row) => [row.record, row.fingerprint]));
}

class BootstrapRun {
  private readonly report: BootstrapReport = { created: [], updated: [], catalog: { added: 0, updated: 0, removed: 0 }, warnings: [] };
  private readonly tenants = new Map<string, string>();
  private readonly users = new Map<string, string>();

  constructor(
    private readonly tx: PrismaTx,
    private readonly input: BootstrapInput,
    private readonly fingerprints: Map<string, string>,
  ) {}

  async all(): Promise<BootstrapReport> {
    const { bootstrap } = this.input;
    const { warnings, ...catalog } = await syncConfigCatalog(this.tx, this.input.modelCatalog, this.input);
    Object.assign(this.report, { catalog, warnings });
    await this.loadTenants();
    for (const record of bootstrap.tenants) await this.tenant(record);
    for (const record of bootstrap.adminUsers) await this.adminUser(record);
    for (const record of bootstrap.apiKeys) await this.apiKey(record);
    for (const record of bootstrap.memberships) await this.membership(record);
    for (const record of bootstrap.tenantLimits) await this.tenantLimit(record);
    for (const record of bootstrap.tenantBudgets) await this.tenantBudget(record);
    for (const alias of bootstrap.defaultModels) await this.defaultModel(alias);
    // Defaults and shared credentials are in no table: the projector must look at them after every start.
    await this.tx.configOutbox.create({ data: { kind: 'defaults', ref: '' } });
    await this.auditRun();
    return this.report;
  }

  private async loadTenants(): Promise<void> {
    for (const tenant of await this.tx.tenant.findMany({ where: { kind: 'organization' }, select: { id: true, name: true } }))
      this.tenants.set(tenant.name, tenant.id);
  }

  private async tenant({ name, status }: AdminConfig['bootstrap']['tenants'][number]): Promise<void> {
    if (this.tenants.has(name)) return;
    if (name.toLowerCase().startsWith('personal:')) throw new BootstrapError(`tenant ${name}: names of personal tenants cannot be given`);
    const tenant = await this.tx.tenant.create({ data: { id: newId(), name, status } });
    this.tenants.set(name, tenant.id);
    this.report.created.push(`tenant:${name}`);
  }

  private tenantId(name: string, of: string): string {
    const id = this.tenants.get(name);
    if (!id) throw new BootstrapError(`${of} names the tenant ${name}, which neither the file nor the database knows`);
    return id;
  }

  private async adminUser(record: AdminConfig['bootstrap']['adminUsers'][number]): Promise<void> {
    const email = record.email.toLowerCase();
    const password = this.input.localLogin ? record.password : undefined;
    const existing = await this.tx.user.findUnique({ where: { email } });
    const user = existing ?? (await createAccount(this.tx, { email, name: record.name, isSuperAdmin: record.super_admin, bootstrapped: true }));
    if (!existing) this.report.created.push(`admin_user:${email}`);
    else {
      await ensurePersonalTenant(this.tx, existing);
      const promote = record.super_admin && !existing.isSuperAdmin;
      if (promote || !existing.bootstrapped) {
        await this.tx.user.update({ where: { id: existing.id }, data: { bootstrapped: true, ...(promote && { isSuperAdmin: true }) } });
        this.report.updated.push(`admin_user:${email}`);
      }
    }
    this.users.set(email, user.id);
    if (password !== undefined) await this.password(user.id, email, password);
  }

  /**
   * A missing password is set; one that the user has is replaced only when the file's own value changed since the file
   * last set it. An account that got its password elsewhere keeps it.
   */
  private async password(userId: string, email: string, password: string): Promise<void> {
    const record = `admin_user_password:${email}`;
    const existing = await this.tx.credential.findFirst({ where: { userId, kind: 'password' }, select: { id: true } });
    const applied = this.fingerprints.get(storedName(record));
    const isNew = await this.remember(record, password);
    if (existing && (applied === undefined || !isNew)) return;
    await setPasswordHash(this.tx, userId, await this.input.hashPassword(password));
    if (!existing) return;
    await this.tx.refreshTokenFamily.updateMany({ where: { userId, revokedAt: null }, data: { revokedAt: new Date(), revokedReason: 'password_changed' } });
    this.report.updated.push(record);
  }

  private async apiKey(record: AdminConfig['bootstrap']['apiKeys'][number]): Promise<void> {
    const tenantId = this.tenantId(record.tenant, `api key ${record.prefix}`);
    const existing = await this.tx.apiKey.findUnique({ where: { prefix: record.prefix } });
    const { requests_per_minute: rpm, tokens_per_minute: tpm, parallel_requests: parallel } = record.rate_limit ?? {};
    // 0 and absent inherit.
    const governed = {
      requestsPerMinute: rpm || null,
      tokensPerMinute: tpm || null,
      parallelRequests: parallel || null,
      quotaNano: record.quota?.budget_usd === undefined ? null : nanoUsdFromUsd(record.quota.budget_usd),
      quotaWarningThreshold: record.quota?.warning_threshold ?? null,
    };
    const name = `api_key:${record.prefix}`;
    const changed = await this.remember(name, governed);
    if (existing) {
      if (existing.tenantId !== tenantId)
        this.report.warnings.push(`bootstrap: the prefix ${record.prefix} belongs to a key of another tenant; that key stays as it is`);
      else if (changed) {
        await this.tx.apiKey.update({ where: { id: existing.id }, data: { ...governed, version: { increment: 1 } } });
        this.report.updated.push(name);
      }
      return;
    }
    const secretDigest = Uint8Array.from(hashApiKeySecret(this.input.pepper, record.secret));
    await this.tx.apiKey.create({
      data: {
        id: newId(),
        tenantId,
        prefix: record.prefix,
        name: record.name,
        secretDigest,
        lastFour: record.secret.slice(-4),
        scopes: record.scopes ?? [],
        ...governed,
      },
    });
    this.report.created.push(name);
  }

  private async membership({ tenant, email, role }: AdminConfig['bootstrap']['memberships'][number]): Promise<void> {
    const tenantId = this.tenantId(tenant, `membership of ${email}`);
    const userId = await this.userId(email.toLowerCase(), tenant);
    const existing = await this.tx.membership.findUnique({ where: { tenantId_userId: { tenantId, userId } } });
    if (existing?.role === role) return;
    await this.tx.membership.upsert({ where: { tenantId_userId: { tenantId, userId } }, create: { tenantId, userId, role }, update: { role } });
    this.report[existing ? 'updated' : 'created'].push(`membership:${tenant}:${email}`);
  }

  private async userId(email: string, tenant: string): Promise<string> {
    const known = this.users.get(email) ?? (await this.tx.user.findUnique({ where: { email }, select: { id: true } }))?.id;
    if (!known) throw new BootstrapError(`membership in ${tenant} names the user ${email}, whom neither the file nor the database knows`);
    return known;
  }

  private async tenantLimit(record: AdminConfig['bootstrap']['tenantLimits'][number]): Promise<void> {
    const tenantId = this.tenantId(record.tenant, 'a tenant limit');
    const from = record.limits ?? record;
    const limits = {
      requestsPerMinute: from.requests_per_minute ?? 0,
      tokensPerMinute: from.tokens_per_minute ?? 0,
      parallelRequests: from.parallel_requests ?? 0,
    };
    const name = `tenant_limit:${record.tenant}`;
    if (!(await this.remember(name, limits))) return;
    const existing = await this.tx.tenantRateLimit.findUnique({ where: { tenantId }, select: { tenantId: true } });
    await this.tx.tenantRateLimit.upsert({ where: { tenantId }, create: { tenantId, ...limits }, update: limits });
    this.report[existing ? 'updated' : 'created'].push(name);
  }

  private async tenantBudget(record: AdminConfig['bootstrap']['tenantBudgets'][number]): Promise<void> {
    const tenantId = this.tenantId(record.tenant, 'a tenant budget');
    const cooldownMs = record.alert_cooldown === undefined ? undefined : parseDurationMs(record.alert_cooldown);
    const budget = {
      budgetNano: record.budget_usd === undefined ? null : nanoUsdFromUsd(record.budget_usd),
      warningThreshold: record.warning_threshold ?? null,
      enforcement: record.enforcement ?? null,
      refreshSchedule: record.refresh_schedule === undefined ? null : parseBudgetSchedule(record.refresh_schedule)!,
      alertEmails: record.alert_emails ?? null,
      alertWebhooks: record.alert_webhooks ?? null,
      alertCooldownSeconds: cooldownMs === undefined ? null : Math.max(1, Math.round(cooldownMs / 1000)),
    };
    const name = `tenant_budget:${record.tenant}`;
    if (!(await this.remember(name, budget))) return;
    const data = { ...budget, alertEmails: budget.alertEmails ?? Prisma.DbNull, alertWebhooks: budget.alertWebhooks ?? Prisma.DbNull };
    const existing = await this.tx.tenantBudgetOverride.findUnique({ where: { tenantId }, select: { tenantId: true } });
    await this.tx.tenantBudgetOverride.upsert({ where: { tenantId }, create: { tenantId, ...data }, update: { ...data, version: { increment: 1 } } });
    this.report[existing ? 'updated' : 'created'].push(name);
  }

  private async defaultModel(alias: string): Promise<void> {
    const aliasKey = alias.toLowerCase();
    const known = await this.tx.modelAlias.findUnique({ where: { key: aliasKey }, select: { key: true } });
    if (!known) throw new BootstrapError(`default_models names ${alias}, which is not in the model catalog`);
    // Applied once: a default model that an operator took out does not come back at the next start.
    if (!(await this.remember(`default_model:${aliasKey}`, aliasKey))) return;
    const { count } = await this.tx.defaultModel.createMany({ data: [{ aliasKey }], skipDuplicates: true });
    if (count > 0) this.report.created.push(`default_model:${alias}`);
  }

  /** Stores the fingerprint of what the file says now. True when that differs from the last time, or was never applied. */
  private async remember(record: string, value: unknown): Promise<boolean> {
    const fingerprint = createHmac('sha256', this.input.pepper).update(canonicalJson(value)).digest('hex');
    const name = storedName(record);
    if (this.fingerprints.get(name) === fingerprint) return false;
    await this.tx.bootstrapFingerprint.upsert({
      where: { record: name },
      create: { record: name, fingerprint },
      update: { fingerprint, appliedAt: new Date() },
    });
    this.fingerprints.set(name, fingerprint);
    return true;
  }

  private async auditRun(): Promise<void> {
    const { created, updated, catalog } = this.report;
    if (created.length + updated.length + catalog.added + catalog.updated + catalog.removed === 0) return;
    const metadata = { created: created.slice(0, 200), updated: updated.slice(0, 200), created_count: created.length, updated_count: updated.length, catalog };
    await audit(this.tx, { actor: { via: 'bootstrap' }, action: 'bootstrap.apply', resource: 'bootstrap', resourceId: 'global', metadata });
  }
}
