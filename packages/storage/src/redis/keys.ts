/**
 * Names of the keys in Redis. All keys of a tenant carry its id as hash tag, so one script may touch them on Redis
 * Cluster; the scripts build the budgets' names from the same base (`includes/budget.lua`).
 */
export interface TenantKeys {
  base: string;
  attempts: string;
  times: string;
  cancelled: string;
  rate: string;
  budgets: string;
}

/** Global: tenants by the time when an edge last announced them. */
export const ACTIVE_TENANTS_KEY = 'omg:tenants';

export function tenantKeys(tenantId: string): TenantKeys {
  const base = `omg:{${tenantId}}:`;
  return {
    base,
    attempts: `${base}attempts`,
    times: `${base}times`,
    cancelled: `${base}cancelled`,
    rate: `${base}rate`,
    budgets: `${base}budgets`,
  };
}

export const keyOpen = (base: string, keyId: string): string => `${base}open:${keyId}`;
export const keyRate = (base: string, keyId: string): string => `${base}rate:${keyId}`;
export const tenantBudget = (base: string, windowId: string): string => `${base}budget:tenant:${windowId}`;
export const keyBudget = (base: string, keyId: string, windowId: string): string => `${base}budget:key:${keyId}:${windowId}`;
export const idempotencyEntry = (base: string, keyId: string, digest: string): string => `${base}idempotency:${keyId}:${digest}`;
