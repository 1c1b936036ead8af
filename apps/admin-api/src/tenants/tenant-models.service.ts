import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import { withVersion } from '../http/etag.js';
import type { Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { knownModels } from '../model-catalog/model-catalog.queries.js';
import { requireModelsAllowed } from './owner-limits.js';
import { lockTenant, requireGovernor } from './tenant-lock.js';

/**
 * Which models a tenant may use. An organization without a list may use all; a list, also an empty one, restricts it to
 * exactly that. A personal tenant without a list has the default models.
 */
@Injectable()
export class TenantModelsService {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  async read(tenantId: string): Promise<{ models: string[] }> {
    const tenant = await this.prisma.tenant.findUnique({ where: { id: tenantId }, select: { kind: true, modelsRestricted: true, version: true } });
    if (!tenant) throw new AdminError('not_found', { message: 'The tenant does not exist.' });
    const { version } = tenant;
    if (tenant.modelsRestricted) return withVersion({ models: await listed(this.prisma, tenantId) }, version);
    if (tenant.kind === 'organization')
      return withVersion({ models: sorted((await knownModels(this.prisma)).filter(({ enabled }) => enabled).map(({ alias }) => alias)) }, version);
    const defaults = await this.prisma.defaultModel.findMany({ select: { alias: { select: { alias: true } } } });
    return withVersion({ models: sorted(defaults.map((row) => row.alias.alias)) }, version);
  }

  async set(caller: Principal, tenantId: string, models: readonly string[], ifMatch?: string): Promise<{ models: string[] }> {
    return this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId, ifMatch);
      requireGovernor(caller, tenant);
      const keys = [...new Set(models.map((model) => model.toLowerCase()))];
      const known = await knownModels(tx, keys);
      const missing = keys.filter((key) => !known.some((row) => row.key === key));
      if (missing.length > 0) throw new AdminError('invalid_request', { message: `models: unknown: ${missing.slice(0, 10).join(', ').slice(0, 500)}` });
      const before = tenant.modelsRestricted ? await listed(tx, tenantId) : null;
      requireModelsAllowed(caller, keys, before && new Set(before.map((alias) => alias.toLowerCase())));
      await tx.tenantModel.deleteMany({ where: { tenantId, aliasKey: { notIn: keys } } });
      await tx.tenantModel.createMany({ data: keys.map((aliasKey) => ({ tenantId, aliasKey })), skipDuplicates: true });
      await tx.tenant.update({ where: { id: tenantId }, data: { modelsRestricted: true, version: { increment: 1 } } });
      const after = sorted(known.map((row) => row.alias));
      await audit(tx, {
        actor: actorOf(caller),
        action: 'tenant.models.set',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        metadata: { models: after },
        before: { models: before },
        after: { models: after },
      });
      return withVersion({ models: after }, tenant.version + 1);
    });
  }

  /** Lifts the list. */
  async clear(caller: Principal, tenantId: string, ifMatch?: string): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId, ifMatch);
      requireGovernor(caller, tenant);
      if (!tenant.modelsRestricted) return;
      const before = await listed(tx, tenantId);
      requireModelsAllowed(caller, null, new Set(before));
      await tx.tenantModel.deleteMany({ where: { tenantId } });
      await tx.tenant.update({ where: { id: tenantId }, data: { modelsRestricted: false, version: { increment: 1 } } });
      await audit(tx, {
        actor: actorOf(caller),
        action: 'tenant.models.clear',
        resource: 'tenant',
        resourceId: tenantId,
        tenantId,
        before: { models: before },
        after: { models: null },
      });
    });
  }
}

async function listed(tx: PrismaTx, tenantId: string): Promise<string[]> {
  const rows = await tx.tenantModel.findMany({ where: { tenantId }, include: { alias: { select: { alias: true } } } });
  return sorted(rows.map((row) => row.alias.alias));
}

function sorted(aliases: string[]): string[] {
  return aliases.sort((a, b) => (a < b ? -1 : 1));
}
