import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type createTenantSchema, type tenantListQuerySchema } from '@omg/contracts';
import type { Prisma, PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { BudgetFigures, figuresBody, type TenantFigures } from '../budgets/budget-figures.js';
import { actorOf } from '../http/actor.js';
import { page, slice, type Parsed } from '../http/paging.js';
import { visibleTenantIds, type Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { lockTenant, type LockedTenant } from './tenant-lock.js';

interface TenantRow {
  id: string;
  name: string;
  kind: 'organization' | 'personal';
  status: 'active' | 'suspended';
  createdAt: Date;
  version: number;
}

/** Organizations and their state; personal tenants are listed apart and cannot be renamed or suspended here. */
@Injectable()
export class TenantsService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly figures: BudgetFigures,
  ) {}

  async list(caller: Principal, query: Parsed<typeof tenantListQuerySchema>) {
    const ids = visibleTenantIds(caller, 'viewer');
    const where: Prisma.TenantWhereInput = {
      kind: 'organization',
      ...(ids && { id: { in: ids } }),
      ...(query.status && { status: query.status }),
      ...(query.q && { name: { contains: escapeLike(query.q), mode: 'insensitive' } }),
    };
    const [rows, total] = await Promise.all([
      this.prisma.tenant.findMany({ where, orderBy: [{ name: 'asc' }, { id: 'asc' }], ...slice(query) }),
      this.prisma.tenant.count({ where }),
    ]);
    const figures = await this.figures.of(
      this.prisma,
      rows.map((row) => row.id),
    );
    return page(query, total, { tenants: rows.map((row) => this.body(row, figures.get(row.id)!)), timezone: this.figures.timezone });
  }

  async personal(query: { limit: number; offset: number }) {
    const where: Prisma.TenantWhereInput = { kind: 'personal', personalOwner: { isNot: null } };
    const [rows, total] = await Promise.all([
      this.prisma.tenant.findMany({
        where,
        include: { personalOwner: true, _count: { select: { memberships: true } } },
        orderBy: { id: 'asc' },
        ...slice(query),
      }),
      this.prisma.tenant.count({ where }),
    ]);
    const figures = await this.figures.of(
      this.prisma,
      rows.map((row) => row.id),
    );
    const personal = rows.map((row) => ({
      tenant_id: row.id,
      user_id: row.personalOwner!.id,
      user_email: row.personalOwner!.email,
      user_name: row.personalOwner!.name,
      status: row.status,
      created_at: row.createdAt.toISOString(),
      ...figuresBody(figures.get(row.id)!),
      membership_count: row._count.memberships,
    }));
    return page(query, total, { personal_tenants: personal, timezone: this.figures.timezone });
  }

  async read(tenantId: string) {
    const row = await this.prisma.tenant.findUnique({ where: { id: tenantId } });
    if (!row) throw new AdminError('not_found', { message: 'The tenant does not exist.' });
    return this.withFigures(this.prisma, row);
  }

  async create(caller: Principal, input: Parsed<typeof createTenantSchema>) {
    return this.prisma.$transaction(async (tx) => {
      await requireFreeName(tx, input.name);
      const row = await tx.tenant.create({
        data: { id: newId(), name: input.name, status: input.status, suspendedBySuperAdmin: input.status === 'suspended' },
      });
      const body = await this.withFigures(tx, row);
      await audit(tx, {
        actor: actorOf(caller),
        action: 'tenant.create',
        resource: 'tenant',
        resourceId: row.id,
        tenantId: row.id,
        metadata: { name: row.name, status: row.status },
        after: { name: row.name, status: row.status },
      });
      return body;
    });
  }

  async rename(caller: Principal, tenantId: string, name: string, ifMatch?: string) {
    return this.change(tenantId, ifMatch, async (tx, tenant) => {
      if (tenant.name === name) return;
      await requireFreeName(tx, name, tenantId);
      await tx.tenant.update({ where: { id: tenantId }, data: { name, version: { increment: 1 } } });
      return () =>
        audit(tx, {
          actor: actorOf(caller),
          action: 'tenant.update_name',
          resource: 'tenant',
          resourceId: tenantId,
          tenantId,
          metadata: { name },
          before: { name: tenant.name },
          after: { name },
        });
    });
  }

  /** A suspension by a super admin is lifted only by one. */
  async setStatus(caller: Principal, tenantId: string, status: 'active' | 'suspended', ifMatch?: string) {
    return this.change(tenantId, ifMatch, async (tx, tenant) => {
      if (status === 'active' && tenant.suspendedBySuperAdmin && !caller.isSuperAdmin)
        throw new AdminError('forbidden', { message: 'A super admin suspended this tenant; only a super admin lifts that.' });
      // Who suspended counts even when it is suspended already: an owner's suspension can become the operator's.
      const suspendedBySuperAdmin = status === 'suspended' && (caller.isSuperAdmin || tenant.suspendedBySuperAdmin);
      if (tenant.status === status && tenant.suspendedBySuperAdmin === suspendedBySuperAdmin) return;
      await tx.tenant.update({ where: { id: tenantId }, data: { status, suspendedBySuperAdmin, version: { increment: 1 } } });
      return () =>
        audit(tx, {
          actor: actorOf(caller),
          action: 'tenant.update_status',
          resource: 'tenant',
          resourceId: tenantId,
          tenantId,
          metadata: { status },
          before: { status: tenant.status },
          after: { status },
        });
    });
  }

  /** Runs a change of an organization under its lock; the change returns what writes its audit row, or nothing when nothing changed. */
  private change(
    tenantId: string,
    ifMatch: string | undefined,
    work: (tx: PrismaTx, tenant: LockedTenant) => Promise<(() => Promise<void>) | undefined | void>,
  ) {
    return this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId, ifMatch);
      if (tenant.kind === 'personal') throw new AdminError('personal_tenant');
      const writeAudit = await work(tx, tenant);
      const body = await this.withFigures(tx, await tx.tenant.findUniqueOrThrow({ where: { id: tenantId } }));
      await writeAudit?.();
      return body;
    });
  }

  private async withFigures(tx: PrismaTx, row: TenantRow) {
    const figures = await this.figures.of(tx, [row.id]);
    return this.body(row, figures.get(row.id)!);
  }

  private body(row: TenantRow, figures: TenantFigures) {
    const { id, status, createdAt, version } = row;
    const name = row.kind === 'personal' ? 'Personal' : row.name;
    return { id, name, status, created_at: createdAt.toISOString(), ...figuresBody(figures), timezone: this.figures.timezone, version };
  }
}

async function requireFreeName(tx: PrismaTx, name: string, except?: string): Promise<void> {
  const taken = await tx.tenant.findFirst({
    where: { name: { equals: escapeLike(name), mode: 'insensitive' }, ...(except && { id: { not: except } }) },
    select: { id: true },
  });
  if (taken) throw new AdminError('name_taken');
}

/** Prisma's insensitive comparisons are ILIKE patterns. */
function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}
