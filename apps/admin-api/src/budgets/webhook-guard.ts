import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import type { ConfigOf } from '@omg/service-kit';
import { AddressGuard, BlockedAddressError, parseAllowlist } from '@omg/upstream';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ADMIN_CONFIG } from '../http/tokens.js';

const LOOKUP_MAX_MS = 2000;

/**
 * Refuses webhook addresses inside the own network when they are saved. Whoever delivers checks again when it connects,
 * since a name may point elsewhere by then; a name that does not resolve now is left to that check.
 */
@Injectable()
export class WebhookGuard {
  private readonly guard: AddressGuard;

  constructor(@Inject(ADMIN_CONFIG) config: ConfigOf<'security'>) {
    this.guard = new AddressGuard(parseAllowlist(config.security.webhookAllowlist));
  }

  async check(urls: readonly string[] | null | undefined): Promise<void> {
    await Promise.all((urls ?? []).map((url) => this.checkOne(new URL(url))));
  }

  private async checkOne(url: URL): Promise<void> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // Plain http only to places that the configuration names, as whoever delivers sees it.
    if (url.protocol !== 'https:' && !this.guard.lists(host)) throw new AdminError('invalid_request', { message: 'alert_webhooks: must be https URLs' });
    for (const address of isIP(host) ? [host] : await addressesOf(host)) {
      if (!this.guard.permits(host, address))
        throw new AdminError('invalid_request', { message: 'alert_webhooks: must not lead into a private network', cause: new BlockedAddressError(host) });
    }
  }
}

async function addressesOf(host: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>((resolve) => (timer = setTimeout(() => resolve([]), LOOKUP_MAX_MS)));
  const found = lookup(host, { all: true }).then(
    (addresses) => addresses.map(({ address }) => address),
    () => [],
  );
  return Promise.race([found, late]).finally(() => clearTimeout(timer));
}
