import type { KeyRing } from '@omg/domain';
import type { SharedCredentials } from '@omg/providers';
import type { ConfigOf } from '@omg/service-kit';

/** What the admin API reads of the configuration. */
export const ADMIN_SECTIONS = [
  'server',
  'database',
  'redis',
  'nats',
  'secrets',
  'security',
  'rate_limits',
  'budgets',
  'reporting',
  'health',
  'admin',
  'providers',
  'bootstrap',
  'model_catalog',
] as const;

export type AdminSections = (typeof ADMIN_SECTIONS)[number];
export type AdminConfig = ConfigOf<AdminSections>;

/** Keys of the configuration as providers name them (`providers.<key>`), flat and in snake case. */
export function sharedCredentials(providers: AdminConfig['providers']): SharedCredentials {
  const flat: Record<string, string> = {};
  const walk = (section: object, prefix: string): void => {
    for (const [key, value] of Object.entries(section)) {
      const name = prefix + key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      if (typeof value === 'object' && value !== null) walk(value as object, `${name}.`);
      else flat[name] = String(value);
    }
  };
  walk(providers, '');
  return flat;
}

/** The same object with the values of a configuration that was read again: routes are opened with it all over the service. */
export function replaceSharedCredentials(shared: SharedCredentials, providers: AdminConfig['providers']): void {
  for (const name of Object.keys(shared)) delete (shared as Record<string, unknown>)[name];
  Object.assign(shared, sharedCredentials(providers));
}

/** What opening and checking a catalog route takes. */
export interface CatalogContext {
  ring: KeyRing;
  shared: SharedCredentials;
}
