import { SETTING_KEYS, budgetSettingSchema, rateLimitsSettingSchema, type BudgetSetting, type RateLimitsSetting } from '@omg/contracts';
import type { Prisma, PrismaClient } from '@omg/database';

/** Reads what documents are made of. Lists are bounded by the caller: a batch of the outbox or a page of the comparison. */

export type Database = Pick<PrismaClient, 'setting' | 'modelAlias' | 'tenant' | 'defaultModel' | 'apiKey' | '$queryRaw'>;

const MODEL = {
  routes: {
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    include: { priceVersions: { orderBy: [{ validFrom: 'desc' }, { createdAt: 'desc' }], take: 1 } },
  },
} satisfies Prisma.ModelAliasInclude;
const TENANT = { rateLimit: true, budgetOverride: true, models: { select: { aliasKey: true } } } satisfies Prisma.TenantInclude;

export type ModelRow = Prisma.ModelAliasGetPayload<{ include: typeof MODEL }>;
export type TenantRow = Prisma.TenantGetPayload<{ include: typeof TENANT }>;
export type KeyRow = Prisma.ApiKeyGetPayload<object>;

export async function readDefaults(db: Database): Promise<{ budget?: BudgetSetting; rateLimits?: RateLimitsSetting }> {
  const rows = await db.setting.findMany({ where: { key: { in: [SETTING_KEYS.budget, SETTING_KEYS.rateLimits] } } });
  const value = (key: string) => rows.find((row) => row.key === key)?.value;
  const budget = budgetSettingSchema.safeParse(value(SETTING_KEYS.budget));
  const rateLimits = rateLimitsSettingSchema.safeParse(value(SETTING_KEYS.rateLimits));
  return { ...(budget.success && { budget: budget.data }), ...(rateLimits.success && { rateLimits: rateLimits.data }) };
}

/** With the price that counts at `now`. */
function modelInclude(now: Date) {
  const { routes } = MODEL;
  return { routes: { ...routes, include: { priceVersions: { ...routes.include.priceVersions, where: { validFrom: { lte: now } } } } } };
}

export function readModels(db: Database, keys: string[], now: Date): Promise<ModelRow[]> {
  return db.modelAlias.findMany({ where: { key: { in: keys } }, include: modelInclude(now) });
}

export function readModelsAfter(db: Database, key: string, limit: number, now: Date): Promise<ModelRow[]> {
  return db.modelAlias.findMany({ where: { key: { gt: key } }, orderBy: { key: 'asc' }, take: limit, include: modelInclude(now) });
}

export function readTenants(db: Database, ids: string[]): Promise<TenantRow[]> {
  return db.tenant.findMany({ where: { id: { in: ids } }, include: TENANT });
}

export function readTenantsAfter(db: Database, id: string, limit: number): Promise<TenantRow[]> {
  return db.tenant.findMany({ where: { id: { gt: id } }, orderBy: { id: 'asc' }, take: limit, include: TENANT });
}

export async function readDefaultModels(db: Database): Promise<string[]> {
  return (await db.defaultModel.findMany({ select: { aliasKey: true } })).map((row) => row.aliasKey);
}

export function readKeys(db: Database, prefixes: string[]): Promise<KeyRow[]> {
  return db.apiKey.findMany({ where: { prefix: { in: prefixes } } });
}

export function readKeysAfter(db: Database, prefix: string, limit: number): Promise<KeyRow[]> {
  return db.apiKey.findMany({ where: { prefix: { gt: prefix } }, orderBy: { prefix: 'asc' }, take: limit });
}
