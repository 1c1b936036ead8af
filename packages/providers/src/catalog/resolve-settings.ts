import type { CatalogBinding, ProviderDefinition } from '../spec/provider.js';

/**
 * Turns a catalog entry into the settings that its adapter reads. One precedence for all providers: provider block, then
 * the entry's own fields, then metadata, then the shared credentials of the configuration; what is left out after that is
 * the adapter's built-in.
 */
export interface CatalogSources {
  block: Readonly<Record<string, string>>;
  /** `endpoint`, `api_key`, `api_version`, `region` of the entry. */
  fields: Readonly<Record<string, string>>;
  metadata: Readonly<Record<string, string>>;
}

/** Shared credentials by dotted key below `providers`; empty ones count as absent. */
export type SharedCredentials = Readonly<Record<string, string>>;

export interface ResolvedSettings {
  settings: Record<string, string>;
  /** Why the route cannot be used; never holds a value. */
  problems: string[];
}

const DEFAULT_PLACES = ['region', 'endpoint', 'base_url'];
const SECRET_NAME = /(^|_)(api_?key|access_?key|private_?key|secret|token|password|passwd|credentials?)(_|$)/i;

/** Key of the provider's block in a catalog entry. */
export function blockName(definition: ProviderDefinition): string {
  return definition.catalog?.block ?? definition.slug.replaceAll('-', '_');
}

/** Whether a setting is sealed at rest and masked in answers: what the provider declares, and whatever sounds like a secret. */
export function isSecretSetting(definition: ProviderDefinition | undefined, name: string): boolean {
  return definition?.secretSettings.includes(name) === true || SECRET_NAME.test(name);
}

/** The entry's own settings, without shared credentials. */
export function ownSettings(definition: ProviderDefinition | undefined, sources: CatalogSources): Record<string, string> {
  const settings: Record<string, string> = {};
  const binding = definition?.catalog ?? {};
  // Weakest first, so that stronger ones overwrite.
  for (const source of [sources.metadata, sources.fields, sources.block]) Object.assign(settings, canonical(binding, source));
  return settings;
}

/** One source with canonical names; empty values count as absent. */
function canonical(binding: CatalogBinding, source: Readonly<Record<string, string>>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(source)) if (value.trim() !== '') settings[name] = value.trim();
  for (const [name, others] of Object.entries(binding.spellings ?? {})) {
    const found = [name, ...others].find((spelling) => settings[spelling] !== undefined);
    if (found === undefined) continue;
    const value = settings[found]!;
    for (const other of others) delete settings[other];
    settings[name] = value;
  }
  return settings;
}

/** Settings as the adapter gets them, checked against the provider's schema. */
export function resolveSettings(definition: ProviderDefinition, sources: CatalogSources, shared: SharedCredentials): ResolvedSettings {
  const own = ownSettings(definition, sources);
  const settings = { ...own };
  for (const set of definition.catalog?.shared ?? []) {
    if (set.unless?.some((name) => own[name] !== undefined)) continue;
    for (const [name, key] of Object.entries(set.values)) {
      const value = shared[key]?.trim();
      if (value && settings[name] === undefined) settings[name] = value;
    }
  }
  const checked = definition.settings.safeParse(settings);
  const problems = checked.success ? [] : checked.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
  return { settings, problems };
}

/**
 * What makes two entries of an alias the same route: provider, upstream model, deployment and place. Secrets are not part
 * of it, so a rotated key keeps the route.
 */
export function routeIdentity(
  definition: ProviderDefinition | undefined,
  entry: { provider: string; providerModel: string; deployment: string },
  sources: CatalogSources,
): string {
  const own = ownSettings(definition, sources);
  const places = (definition?.catalog?.places ?? DEFAULT_PLACES).filter((name) => own[name] !== undefined).map((name) => `${name}=${own[name]}`);
  return [entry.provider, entry.providerModel, entry.deployment, ...places].join(' | ');
}
