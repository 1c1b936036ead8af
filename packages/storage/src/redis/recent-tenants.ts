const TENANTS_MAX = 50_000;
/** How often a process tells Redis that a tenant is active. */
const ANNOUNCE_EVERY_MS = 60_000;
/** Well below the silence after which the ledger's side forgets a tenant (`IDLE_TENANT_MS`). */
const LISTED_FOR_MS = 5 * 60_000;

interface Announced {
  /** Announced last. */
  atMs: number;
  /** Announced last with success. */
  listedAtMs: number;
}

/** Which tenants this process announced, and when; bounded, oldest announcement out first. */
export class RecentTenants {
  private readonly tenants = new Map<string, Announced>();

  /** True once per tenant and interval; the caller announces it then. */
  isDue(tenantId: string): boolean {
    const nowMs = performance.now();
    const last = this.tenants.get(tenantId);
    if (last !== undefined && nowMs - last.atMs < ANNOUNCE_EVERY_MS) return false;
    this.tenants.delete(tenantId);
    if (this.tenants.size >= TENANTS_MAX) {
      const oldest = this.tenants.keys().next();
      if (!oldest.done) this.tenants.delete(oldest.value);
    }
    this.tenants.set(tenantId, { atMs: nowMs, listedAtMs: last?.listedAtMs ?? Number.NEGATIVE_INFINITY });
    return true;
  }

  /** Whether the tenant is on the list already, whatever becomes of an announcement that is under way. */
  isListed(tenantId: string): boolean {
    return performance.now() - (this.tenants.get(tenantId)?.listedAtMs ?? Number.NEGATIVE_INFINITY) < LISTED_FOR_MS;
  }

  succeeded(tenantId: string): void {
    const tenant = this.tenants.get(tenantId);
    if (tenant) tenant.listedAtMs = performance.now();
  }

  /** Unless it is listed from before, its next call announces it again. */
  failed(tenantId: string): void {
    if (!this.isListed(tenantId)) this.tenants.delete(tenantId);
  }
}
