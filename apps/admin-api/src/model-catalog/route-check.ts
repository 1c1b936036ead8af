import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import { ProviderError, type ProviderAdapter, type ProviderDefinition } from '@omg/providers';
import type { ConfigOf } from '@omg/service-kit';
import { AddressGuard, BlockedAddressError, parseAllowlist } from '@omg/upstream';
import type { CatalogContext } from '../config.js';
import { ADMIN_CONFIG, CATALOG_CONTEXT } from '../http/tokens.js';
import { settingsOf, type RouteEntry } from './catalog-route.js';

/** Builds a route as the edge would, before it is saved. */
@Injectable()
export class RouteCheck {
  private readonly guard: AddressGuard;

  constructor(
    @Inject(ADMIN_CONFIG) config: ConfigOf<'security'>,
    @Inject(CATALOG_CONTEXT) private readonly context: CatalogContext,
  ) {
    this.guard = new AddressGuard(parseAllowlist(config.security.upstreamAllowlist));
  }

  /** 422 when the route could not work: a setting is missing or wrong, or its address is not allowed. */
  requireUsable(id: string, entry: RouteEntry, definition: ProviderDefinition): void {
    const { settings, problems } = settingsOf(entry, this.context);
    if (problems.length > 0) throw new AdminError('unprocessable', { message: problems.join('; ').slice(0, 1000) });
    for (const [name, value] of Object.entries(settings)) this.requireAllowed(name, value);
    try {
      this.build(id, entry, definition, settings);
    } catch (error) {
      // Nothing was asked of the provider yet: the text is the adapter's own.
      const reason = error instanceof ProviderError ? error.internal : undefined;
      throw new AdminError('unprocessable', { ...(reason !== undefined && { message: reason }), cause: error });
    }
  }

  build(id: string, entry: RouteEntry, definition: ProviderDefinition, settings: Record<string, string>): ProviderAdapter {
    const { providerModel, deployment, modalities, maxOutputTokens } = entry;
    return definition.create({ id, providerModel, deployment, modalities, maxOutputTokens, settings });
  }

  /** Literal addresses are judged now; names when a connection is opened, on the address that they have then. */
  private requireAllowed(name: string, value: string): void {
    if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return;
    try {
      this.guard.checkLiteral(new URL(value).hostname);
    } catch (error) {
      if (!(error instanceof BlockedAddressError)) throw error;
      throw new AdminError('unprocessable', { message: `${name}: leads into a private network; security.upstream_allowlist names what may`, cause: error });
    }
  }
}
