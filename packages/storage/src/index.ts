export * from './redis/admission.types.js';
