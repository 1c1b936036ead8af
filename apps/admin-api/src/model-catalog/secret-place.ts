import { AdminError } from '@omg/contracts';
import { isSecretSetting, ownSettings, type ProviderDefinition } from '@omg/providers';
import type { RouteEntry } from './catalog-route.js';

/**
 * A stored secret does not follow a route to another host: otherwise whoever may change a route could have its key sent
 * to a server of his own. It has to be entered again.
 */
export function requireSecretsAgain(definition: ProviderDefinition, before: RouteEntry, after: RouteEntry): void {
  const old = ownSettings(definition, before.sources);
  const next = ownSettings(definition, after.sources);
  if (hostsOf(old) === hostsOf(next)) return;
  const kept = Object.keys(next).filter((name) => isSecretSetting(definition, name) && next[name] === old[name]);
  if (kept.length > 0) throw new AdminError('invalid_request', { message: `${kept.join(', ')}: must be entered again when the route moves to another host` });
}

function hostsOf(settings: Readonly<Record<string, string>>): string {
  const urls = Object.entries(settings).filter(([, value]) => /^https?:\/\//i.test(value) && URL.canParse(value));
  return urls
    .map(([name, value]) => `${name}=${new URL(value).origin}`)
    .sort()
    .join(' ');
}
