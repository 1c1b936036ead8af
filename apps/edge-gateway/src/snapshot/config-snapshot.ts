import {
  defaultsDocumentSchema,
  modelDocumentSchema,
  tenantDocumentSchema,
  type DefaultsDocument,
  type ModelDocument,
  type RouteDocument,
  type TenantDocument,
} from '@omg/contracts';
import type { PlannedRoute, PriceVersion } from '@omg/domain';
import type { ProviderAdapter } from '@omg/providers';

/** A route as the data plane uses it: its document, and the adapter that speaks to its provider. */
export interface RouteEntry extends PlannedRoute {
  doc: RouteDocument;
  price: PriceVersion | undefined;
  /** Undefined: the entry is broken; the reason says how. The alias's other routes are not affected. */
  adapter: ProviderAdapter | undefined;
  brokenReason: string | undefined;
}

export interface ModelEntry {
  alias: string;
  createdUnix: number;
  /** Enabled routes only; an alias without any does not exist for clients. */
  routes: readonly RouteEntry[];
}

export interface TenantEntry {
  doc: TenantDocument;
  /** Undefined: every enabled model. */
  allowedModels: ReadonlySet<string> | undefined;
}

export type BuildRoute = (doc: RouteDocument) => RouteEntry;

/**
 * The control plane's state in memory: defaults, models and tenants. It starts from a full snapshot and follows the
 * changes; entries are immutable and replaced whole, so a request that holds one is never surprised in the middle.
 */
export class ConfigSnapshot {
  private defaultsDoc: DefaultsDocument | undefined;
  private readonly modelsByKey = new Map<string, ModelEntry>();
  private readonly models = new Map<string, ModelEntry>();
  private readonly tenants = new Map<string, TenantEntry>();
  private sortedModels: readonly ModelEntry[] | undefined;

  constructor(
    private readonly buildRoute: BuildRoute,
    private readonly onInvalid: (key: string, problem: string) => void,
    /** A route that no model has any more; what was known of it may be forgotten. */
    private readonly onRetired: (routeId: string) => void,
  ) {}

  get defaults(): DefaultsDocument | undefined {
    return this.defaultsDoc;
  }

  /** By alias, without regard to case. */
  model(alias: string): ModelEntry | undefined {
    return this.models.get(alias.toLowerCase());
  }

  tenant(id: string): TenantEntry | undefined {
    return this.tenants.get(id);
  }

  /** Sorted by alias. */
  listModels(): readonly ModelEntry[] {
    this.sortedModels ??= [...this.models.values()].sort((a, b) => (a.alias < b.alias ? -1 : 1));
    return this.sortedModels;
  }

  /** Every route of every alias. */
  *routes(): Iterable<RouteEntry> {
    for (const model of this.models.values()) yield* model.routes;
  }

  /** Takes one entry of the bucket; undefined means that it was deleted. An entry that cannot be read changes nothing. */
  apply(key: string, value: string | undefined): void {
    try {
      if (key === 'defaults') this.applyDefaults(value);
      else if (key.startsWith('model.')) this.applyModel(key, value);
      else if (key.startsWith('tenant.')) this.applyTenant(key.slice('tenant.'.length), value);
    } catch (error) {
      this.onInvalid(key, error instanceof Error ? error.message : String(error));
    }
  }

  /** The edge may serve: the bucket was read whole, and the control plane had written its defaults, which it does last. */
  get isComplete(): boolean {
    return this.defaultsDoc !== undefined;
  }

  /**
   * Takes the bucket's whole state: what it does not hold is gone. A bucket without defaults was lost and made anew: until it is
   * filled again nobody can be told whether their key is good.
   */
  replaceAll(entries: ReadonlyMap<string, string>): void {
    if (!entries.has('defaults')) this.defaultsDoc = undefined;
    for (const key of [...this.modelsByKey.keys()]) if (!entries.has(key)) this.apply(key, undefined);
    for (const id of [...this.tenants.keys()]) if (!entries.has(`tenant.${id}`)) this.tenants.delete(id);
    for (const [key, value] of entries) this.apply(key, value);
  }

  private applyDefaults(value: string | undefined): void {
    // Defaults are never deleted; an absent value would leave the edge without limits.
    if (value !== undefined) this.defaultsDoc = defaultsDocumentSchema.parse(JSON.parse(value));
  }

  private applyModel(key: string, value: string | undefined): void {
    this.sortedModels = undefined;
    const old = this.modelsByKey.get(key);
    if (value === undefined) {
      if (old) this.models.delete(old.alias.toLowerCase());
      this.modelsByKey.delete(key);
      this.retire(old, []);
      return;
    }
    const doc: ModelDocument = modelDocumentSchema.parse(JSON.parse(value));
    const routes = doc.routes.filter((route) => route.enabled).map((route) => this.buildRoute(route));
    const entry: ModelEntry = { alias: doc.alias, createdUnix: doc.createdUnix, routes };
    this.modelsByKey.set(key, entry);
    if (routes.length > 0) this.models.set(doc.alias.toLowerCase(), entry);
    else this.models.delete(doc.alias.toLowerCase());
    this.retire(old, routes);
  }

  private retire(before: ModelEntry | undefined, now: readonly RouteEntry[]): void {
    for (const { doc } of before?.routes ?? []) if (!now.some((route) => route.doc.id === doc.id)) this.onRetired(doc.id);
  }

  private applyTenant(id: string, value: string | undefined): void {
    if (value === undefined) {
      this.tenants.delete(id);
      return;
    }
    const doc = tenantDocumentSchema.parse(JSON.parse(value));
    this.tenants.set(id, { doc, allowedModels: doc.models === null ? undefined : new Set(doc.models.map((m) => m.toLowerCase())) });
  }
}
