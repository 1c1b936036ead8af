export { getProvider, listProviders } from './registry.js';
export * from './spec/provider.js';
export * from './spec/provider-error.js';
export * from './spec/transport.js';
