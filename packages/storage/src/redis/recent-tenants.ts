const TENANTS_MAX = 50_000;

/** Remembers which tenants this process announced within the last interval; bounded, oldest announcement out first. */
export class RecentTenants {
  private readonly at = new Map<string, number>();

  constructor(private readonly everyMs: number) {}

  /** True once per tenant and interval; the caller announces it then. */
  isDue(tenantId: string): boolean {
    const nowMs = performance.now();
    const last = this.at.get(tenantId);
    if (last !== undefined && nowMs - last < this.everyMs) return false;
    this.at.delete(tenantId);
    if (this.at.size >= TENANTS_MAX) {
      const oldest = this.at.keys().next();
      if (!oldest.done) this.at.delete(oldest.value);
    }
    this.at.set(tenantId, nowMs);
    return true;
  }

  /** The announcement failed: it is due again. */
  forget(tenantId: string): void {
    this.at.delete(tenantId);
  }
}
