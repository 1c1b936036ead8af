export { getProvider, listProviders } from './registry.js';
export * from './spec/cancellation.js';
export * from './spec/provider.js';
export * from './spec/provider-error.js';
export * from './spec/transport.js';
export {
  blockName,
  isSecretSetting,
  ownSettings,
  resolveSettings,
  routeIdentity,
  type CatalogSources,
  type ResolvedSettings,
  type SharedCredentials,
} from './catalog/resolve-settings.js';
export { routeAbilities, type CatalogModel } from './catalog/route-abilities.js';
export { smallestCall } from './catalog/smallest-call.js';
export { hasMorePartsThan } from './kit/json-scan.js';
