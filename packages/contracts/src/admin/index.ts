export * from './common.js';
export * from './errors.js';
