export * from './bus.js';
export * from './config/documents.js';
export * from './errors/catalog.js';
export * from './errors/gateway-error.js';
export * from './events/route-outcome.js';
export * from './events/usage-event.js';
export * from './jobs/jobs.js';
