import { modelDocumentSchema, readDocument, type RouteDocument } from '@omg/contracts';
import { KeyRing, sealedContext, type Operation } from '@omg/domain';
import { getProvider, routeAbilities, type ProviderAdapter } from '@omg/providers';

/** A route as the monitor probes it. */
export interface MonitoredRoute {
  id: string;
  alias: string;
  provider: string;
  /** What the route is for; undefined where its entry leaves nothing. */
  operation: Operation | undefined;
  /** Undefined: the route cannot be built, for the reason told. */
  adapter: ProviderAdapter | undefined;
  problem: string | undefined;
  /** Metadata `health_probe`: `paid` makes the smallest call instead of the provider's free check. */
  probe: 'free' | 'paid' | 'off';
  /** Changes when anything of the route does. */
  fingerprint: string;
}

export interface RouteTableChange {
  added: MonitoredRoute[];
  removed: string[];
}

/**
 * The enabled routes of the configuration bucket, secrets opened. A route keeps its object while its document stays the same, so
 * that a change of one model does not disturb the probes of the others.
 */
export class RouteTable {
  private readonly routes = new Map<string, MonitoredRoute>();
  private readonly idsByKey = new Map<string, ReadonlySet<string>>();

  constructor(
    private readonly keys: KeyRing,
    private readonly onInvalid: (key: string) => void = () => undefined,
  ) {}

  get size(): number {
    return this.routes.size;
  }

  get(id: string): MonitoredRoute | undefined {
    return this.routes.get(id);
  }

  all(): MonitoredRoute[] {
    return [...this.routes.values()];
  }

  replaceAll(documents: ReadonlyMap<string, string>): RouteTableChange {
    const change: RouteTableChange = { added: [], removed: [] };
    for (const key of [...this.idsByKey.keys()]) if (!documents.has(key)) this.merge(change, this.set(key, undefined));
    for (const [key, text] of documents) this.merge(change, this.set(key, text));
    return change;
  }

  /** `undefined`: the model is gone. */
  set(key: string, text: string | undefined): RouteTableChange {
    const documents = text === undefined ? [] : this.read(key, text);
    if (!documents) return { added: [], removed: [] };
    const before = this.idsByKey.get(key) ?? new Set<string>();
    const after = new Set(documents.map(({ route }) => route.id));
    if (after.size > 0) this.idsByKey.set(key, after);
    else this.idsByKey.delete(key);
    const removed = [...before].filter((id) => !after.has(id) && this.routes.delete(id));
    const added: MonitoredRoute[] = [];
    for (const { alias, route } of documents) {
      const fingerprint = JSON.stringify([alias, route]);
      if (this.routes.get(route.id)?.fingerprint === fingerprint) continue;
      const monitored = this.build(alias, route, fingerprint);
      this.routes.set(route.id, monitored);
      added.push(monitored);
    }
    return { added, removed };
  }

  private merge(into: RouteTableChange, change: RouteTableChange): void {
    into.added.push(...change.added);
    into.removed.push(...change.removed);
  }

  /** Undefined: not readable, so what is known stays. */
  private read(key: string, text: string): { alias: string; route: RouteDocument }[] | undefined {
    const document = readDocument(modelDocumentSchema, text);
    if (!document) {
      this.onInvalid(key);
      return undefined;
    }
    return document.routes.filter((route) => route.enabled).map((route) => ({ alias: document.alias, route }));
  }

  private build(alias: string, route: RouteDocument, fingerprint: string): MonitoredRoute {
    const definition = getProvider(route.provider);
    const common = {
      id: route.id,
      alias,
      provider: route.provider,
      operation: definition && [...routeAbilities(route, definition).operations][0],
      probe: probeKind(route.settings['health_probe']),
      fingerprint,
    };
    if (!definition) return { ...common, adapter: undefined, problem: 'unknown_provider' };
    if (route.invalid !== undefined) return { ...common, adapter: undefined, problem: 'misconfigured' };
    try {
      const secrets = Object.entries(route.sealed).map(
        ([name, envelope]) => [name, this.keys.open(envelope, sealedContext.routeSetting(name, route.id))] as const,
      );
      const settings = { ...route.settings, ...Object.fromEntries(secrets) };
      const { id, providerModel, deployment, modalities, maxOutputTokens } = route;
      return { ...common, adapter: definition.create({ id, providerModel, deployment, modalities, maxOutputTokens, settings }), problem: undefined };
    } catch {
      return { ...common, adapter: undefined, problem: 'misconfigured' };
    }
  }
}

function probeKind(wish: string | undefined): MonitoredRoute['probe'] {
  return wish === 'paid' || wish === 'off' ? wish : 'free';
}
