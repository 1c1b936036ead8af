import { isRollingId, type NamedWindow } from './booking.js';

/** Some 150 bytes each: the tenants and keys that are active in one window. */
const TOTALS_MAX = 200_000;

/**
 * Totals that this recorder has seen in Postgres: a commit need not look for them again before it locks its tenants. They stay for good,
 * but where a backup is restored under running services: then a commit finds no total to tell, throws `TotalsGone`, and begins again with
 * nothing known.
 */
export class KnownTotals {
  private readonly names = new Set<string>();

  /** Those that must be looked for. The row of a rolling window may lie in an earlier slot. */
  unknown(refs: readonly NamedWindow[]): NamedWindow[] {
    return refs.filter((ref) => isRollingId(ref.windowId) || !this.names.has(ref.name));
  }

  remember(refs: readonly NamedWindow[]): void {
    if (this.names.size + refs.length > TOTALS_MAX) this.names.clear();
    for (const ref of refs) if (!isRollingId(ref.windowId)) this.names.add(ref.name);
  }

  forget(): void {
    this.names.clear();
  }
}

export class TotalsGone extends Error {
  constructor() {
    super('a budget total that was there before is gone');
  }
}
